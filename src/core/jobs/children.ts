import { createHash } from 'node:crypto';
import type {
  JobClaim,
  JobId,
  JobOutcome,
  JobRecord,
  JobStore,
  JsonObject,
  NewJob,
  TenantId,
} from '../contracts/index.ts';
import { errorOf } from '../errors.ts';
import type { JobProgress } from '../events.ts';
import { parseJobId } from '../identity.ts';

/** The first part of the names of steps that are jobs of their own. */
export const CHILD = 'job';

/** A job to be run by whoever has its operation. */
export type ChildJob = Omit<NewJob, 'operationVersion'>;

/** How a job has others run. */
export interface ChildRunner {
  /**
   * Adds a job, unless it is there already, to be run here or by another worker. Resolves with its outcome; `FENCED`
   * where the parent has another worker.
   */
  run(
    job: ChildJob,
    parent: JobClaim,
    progress: (progress: JobProgress) => void,
    signal: AbortSignal,
  ): Promise<JobOutcome>;
  /** Adds a job that is no part of the parent, unless it is there already; `FENCED` where the parent has another worker. */
  start(job: ChildJob, parent: JobClaim): Promise<void>;
  /** Asks for a job's end; resolves when it has ended. */
  end(tenant: TenantId, job: JobId, signal: AbortSignal): Promise<void>;
}

/** The id of the child that a step of a job runs: the same for whoever runs the step. */
function childId({ id }: JobRecord, step: string): JobId {
  const digest = createHash('sha256')
    .update(JSON.stringify([id, step]))
    .digest('hex');
  return parseJobId(`${id.slice(0, 87)}-${digest.slice(0, 32)}`);
}

/** What the child of a step comes to. `stopping` is aborted when this worker lets go of the parent: the child goes on. */
export async function runChild(
  runner: ChildRunner,
  of: {
    readonly parent: JobClaim;
    readonly step: string;
    readonly signal: AbortSignal;
    readonly stopping: AbortSignal;
  },
  request: { readonly operation: string; readonly input: JsonObject },
  progress: (progress: JobProgress) => void,
): Promise<JsonObject> {
  const { parent, step, signal, stopping } = of;
  const { tenant, actor, createdAt } = parent.job;
  const id = childId(parent.job, step);
  try {
    const job = { ...request, id, tenant, actor, parent: parent.job.id, createdAt };
    const outcome = await runner.run(job, parent, progress, signal);
    if (outcome.state === 'succeeded') return outcome.result;
    throw errorOf(outcome.error);
  } catch (error) {
    if (signal.aborted && !stopping.aborted) await runner.end(tenant, id, stopping);
    throw error;
  }
}

/** Adds a job that outlives the one whose step begins it. */
export async function startJob(
  runner: ChildRunner,
  parent: JobClaim,
  step: string,
  request: { readonly operation: string; readonly input: JsonObject },
): Promise<JobId> {
  const { tenant, actor, createdAt } = parent.job;
  const id = childId(parent.job, step);
  await runner.start({ ...request, id, tenant, actor, createdAt }, parent);
  return id;
}

/** Ends the children that a job may have begun, so that none goes on with what is about to be undone. */
export async function endChildren(
  runner: ChildRunner,
  store: Pick<JobStore, 'get'>,
  parent: JobRecord,
  intents: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const step of intents.filter((name) => name.startsWith(`${CHILD}/`))) {
    const child = await store.get(parent.tenant, childId(parent, step));
    if (child !== undefined && child.outcome === undefined) await runner.end(parent.tenant, child.id, signal);
  }
}
