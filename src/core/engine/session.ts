import * as z from 'zod';
import { graphDigest } from '../archive/stored-graph.ts';
import type {
  CheckpointId,
  PlanId,
  PlanRecord,
  Resource,
  SnapshotPolicyWish,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import {
  describeDifference,
  difference,
  type GraphDifference,
  isEmptyDifference,
} from '../graph/difference.ts';
import { parseCheckpointId, parseJobId, parsePlanId } from '../identity.ts';
import type { WhenBusy } from '../jobs/operation.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { policyFor } from '../policy/cascade.ts';
import { parsePolicyWish } from '../policy/policy-schema.ts';
import { policyAsPreviewed } from '../policy/previewed-policy.ts';
import { discoverPlan } from '../operations/discover-plan.ts';
import { parsePreviewedGraph } from '../operations/previewed-graph.ts';
import type { AdoptPreview } from '../operations/adopt-preview.ts';
import { type AdoptableSnapshot, type Adoption, adoptableSnapshots } from '../operations/adoption.ts';
import type { ArchiveInput, ArchiveResult } from '../operations/archive.ts';
import type { CollectInput, CollectResult } from '../operations/collect.ts';
import type { CopiesPreview, Preview, ProtectPreview } from '../operations/previews.ts';
import type { ProtectInput, ProtectResult } from '../operations/protect-commit.ts';
import type { RemoveInput, RemoveResult } from '../operations/remove.ts';
import type { RestoreInput, RestoreResult } from '../operations/restore-input.ts';
import type { RestorePreview } from '../operations/restore-preview.ts';
import { protectableFor } from '../operations/services.ts';
import type { VerifyInput, VerifyResult } from '../operations/verify.ts';
import { type AdoptionRequest, parseAdoption, parseAdoptionRequest } from './adopt-options.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Job } from './job.ts';
import { Jobs } from './jobs.ts';
import { Plans } from './plans.ts';
import { Previews } from './previews.ts';
import { Schedules } from './schedules.ts';
import { type ReconciledJob, reconcileJobs } from './reconcile.ts';
import { mayOverwrite, parseRestoreOptions, type RestoreOptions } from './restore-options.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';

/** What a call that starts a job may say. */
export interface JobOptions extends Cancellable {
  /**
   * What the job does while another works on what it needs: `queue` (default: it begins again later), `wait` (it keeps
   * its worker) or `refuse` (it fails with `BUSY`).
   */
  readonly whenBusy?: WhenBusy;
}

/** What a call that verifies may say. */
export interface VerifyOptions extends JobOptions {
  /**
   * `deep` (default): every chunk is opened, decompressed and compared with its id. `tags`: every byte is proven to be as
   * it was stored, which costs about a third.
   */
  readonly level?: 'tags' | 'deep';
  /** The share of each archive to read, above 0 and up to 1, picked by chance; the result says what that is worth. Default 1. */
  readonly sample?: number;
}

/** What a call that archives may say. */
export interface ArchiveCheckpointOptions extends JobOptions {
  /** The snapshots go from their arrays once the archives are proven, also where they were to be kept. Default false. */
  readonly removeSnapshots?: boolean;
}

/** What a call that collects says. */
export interface CollectOptions extends JobOptions {
  /** The provider in whose bank space is given back. */
  readonly provider: string;
  /** Only tells what would go. Default false. */
  readonly preview?: boolean;
}

/** What a call that protects may say. */
export interface ProtectOptions extends JobOptions {
  /** How long an application may be paused for its snapshot, in milliseconds. Default 10,000. */
  readonly pauseMilliseconds?: number;
  /** What becomes of the snapshots, where that differs from what the plan says. */
  readonly policy?: SnapshotPolicyWish;
}

/** What a run of a previewed protect may say. */
export interface RunProtectOptions extends Omit<ProtectOptions, 'policy'> {
  /**
   * Asked where the application is no longer as previewed, with what became of it since. True: it is protected as it
   * was found just now. Without it, or where the answer is anything else, the run is refused with `DRIFTED`.
   */
  readonly accept?: (drift: GraphDifference) => boolean | Promise<boolean>;
}

/** What a call that adopts says. */
export interface AdoptOptions extends JobOptions, AdoptionRequest {}

/** What a run of a previewed adoption may say. */
export interface RunAdoptOptions extends Omit<RunProtectOptions, 'pauseMilliseconds'> {}

/** What each operation is asked for and what it makes. */
interface Operations {
  readonly adopt: { readonly input: ProtectInput; readonly result: ProtectResult };
  readonly archive: { readonly input: ArchiveInput; readonly result: ArchiveResult };
  readonly protect: { readonly input: ProtectInput; readonly result: ProtectResult };
  readonly restore: { readonly input: RestoreInput; readonly result: RestoreResult };
  readonly verify: { readonly input: VerifyInput; readonly result: VerifyResult };
  readonly remove: { readonly input: RemoveInput; readonly result: RemoveResult };
  readonly collect: { readonly input: CollectInput; readonly result: CollectResult };
}

const pauseSchema = z.int().min(100).max(600_000);
const jobOptions = {
  signal: z.instanceof(AbortSignal).exactOptional(),
  whenBusy: z.enum(['queue', 'wait', 'refuse']).exactOptional(),
};
const jobOptionsSchema = strictOptions(jobOptions) satisfies z.ZodType<JobOptions>;
const verifySchema = strictOptions({
  ...jobOptions,
  level: z.enum(['tags', 'deep']).exactOptional(),
  sample: z.number().positive().max(1).exactOptional(),
}) satisfies z.ZodType<VerifyOptions>;
const archiveSchema = strictOptions({
  ...jobOptions,
  removeSnapshots: z.boolean().exactOptional(),
}) satisfies z.ZodType<ArchiveCheckpointOptions>;
const collectSchema = strictOptions({
  ...jobOptions,
  provider: z.string(),
  preview: z.boolean().exactOptional(),
}) satisfies z.ZodType<CollectOptions>;
const runProtectSchema = strictOptions({
  ...jobOptions,
  pauseMilliseconds: pauseSchema.exactOptional(),
  accept: z
    .custom<NonNullable<RunProtectOptions['accept']>>(
      (value) => typeof value === 'function',
      'must be a function',
    )
    .exactOptional(),
}) satisfies z.ZodType<RunProtectOptions>;

/** The engine as one actor of one tenant sees it. It reaches nothing of any other tenant. */
export class Session {
  /** Whose data it is. */
  readonly tenant: TenantId;
  /** Who acts; recorded with all that is done. */
  readonly actor: string;
  /** What is protected. */
  readonly plans: Plans;
  /** When it is protected. */
  readonly schedules: Schedules;
  /** What was made. */
  readonly checkpoints: Checkpoints;
  /** What runs and ran. */
  readonly jobs: Jobs;
  /** What operations would do. */
  readonly preview: Previews;
  readonly #services: SessionServices;

  /** Made by `Engine.for`. */
  constructor(services: SessionServices, tenant: TenantId, actor: string) {
    this.#services = services;
    this.tenant = tenant;
    this.actor = actor;
    this.plans = new Plans(services, tenant);
    this.schedules = new Schedules(services, tenant, actor);
    this.checkpoints = new Checkpoints(services, tenant);
    this.jobs = new Jobs(services, tenant);
    this.preview = new Previews(services, tenant);
  }

  /** The resources of a type that a provider sees: what a plan can begin with. */
  resources(provider: string, type: string, options?: Cancellable): AsyncIterable<Resource> {
    return protectableFor(this.#services.operations.provider(provider, this.tenant), { type }).list(
      callOf(options),
    );
  }

  /**
   * Makes a checkpoint. The job runs on when the caller goes; an abort of `signal` cancels it. `REFUSED_BY_POLICY` where
   * the provider or the tenant does not allow what the plan or `policy` asks for.
   */
  async protect(
    id: PlanId,
    { policy: asked = {}, ...options }: ProtectOptions = {},
  ): Promise<Job<ProtectResult>> {
    const call = parsePolicyWish('protect: policy', asked);
    const plan = await this.#plan(id);
    const provider = this.#services.operations.provider(plan.provider, this.tenant);
    const policy = policyFor(provider, this.tenant, { plan: plan.policy, call });
    return this.#protect({ plan, graph: null, policy }, options);
  }

  /**
   * The snapshots that arrays have of a plan's volumes, that others made and that no checkpoint has adopted: array by array in
   * ascending order of name. Whole arrays are listed.
   */
  async *snapshots(id: PlanId, options?: Cancellable): AsyncGenerator<AdoptableSnapshot> {
    yield* adoptableSnapshots(this.#services.operations, await this.#plan(id), callOf(options));
  }

  /**
   * Makes a checkpoint of snapshots that others made of a plan's volumes: from then on it is as any other. The application
   * is captured as it is now, for nobody knows what it was like then; the checkpoint says so by `adopted`. The job fails with
   * `NO_SNAPSHOT` where a volume has none, or goes on without it where the plan says so; see `docs/snapshots.md`.
   */
  async adopt(id: PlanId, { signal, whenBusy, ...asked }: AdoptOptions): Promise<Job<ProtectResult>> {
    const { adopted, policy: call } = parseAdoptionRequest('adopt', asked);
    const plan = await this.#plan(id);
    const provider = this.#services.operations.provider(plan.provider, this.tenant);
    const policy = policyFor(provider, this.tenant, { plan: plan.policy, call });
    const options = { ...(signal && { signal }), ...(whenBusy && { whenBusy }) };
    return this.#protect({ plan, graph: null, policy, adopted }, options);
  }

  /**
   * Makes the application of a checkpoint again, beside whatever is there; or, `into: 'existing'`, writes the bytes of its
   * volumes over volumes that exist, which nobody must use meanwhile.
   */
  async restore(
    checkpoint: CheckpointId,
    { signal, whenBusy, ...asked }: RestoreOptions & JobOptions,
  ): Promise<Job<RestoreResult>> {
    const input = { checkpoint: parseCheckpointId(checkpoint), ...parseRestoreOptions(asked) };
    return this.#submit('restore', input, { ...(signal && { signal }), ...(whenBusy && { whenBusy }) });
  }

  /** Reads every copy of a checkpoint and records what that proves. */
  async verify(checkpoint: CheckpointId, options: VerifyOptions = {}): Promise<Job<VerifyResult>> {
    const { level = 'deep', sample = 1, ...rest } = parseOptions('verify', verifySchema, options);
    return this.#submit('verify', { checkpoint: parseCheckpointId(checkpoint), level, sample }, rest);
  }

  /**
   * Archives the snapshots that a checkpoint has on arrays, in the bank of its provider; volumes that have an archive there
   * are passed over. The job fails with `NO_SNAPSHOT` where a volume has neither.
   */
  async archive(
    checkpoint: CheckpointId,
    options: ArchiveCheckpointOptions = {},
  ): Promise<Job<ArchiveResult>> {
    const { removeSnapshots = false, ...rest } = parseOptions('archive', archiveSchema, options);
    return this.#submit('archive', { checkpoint: parseCheckpointId(checkpoint), removeSnapshots }, rest);
  }

  /** Gives a checkpoint up and removes its copies; what other checkpoints share stays. */
  async remove(checkpoint: CheckpointId, options?: JobOptions): Promise<Job<RemoveResult>> {
    return this.#submit('remove', { checkpoint: parseCheckpointId(checkpoint) }, options);
  }

  /**
   * Gives back the space of what no checkpoint of this tenant needs any more, in the bank of a provider. Waits, by
   * `whenBusy`, until nobody writes archives of this tenant there; jobs that begin to write meanwhile wait for it.
   */
  async collect(options: CollectOptions): Promise<Job<CollectResult>> {
    const { provider, preview = false, ...rest } = parseOptions('collect', collectSchema, options);
    const { bank } = this.#services.operations.provider(provider, this.tenant);
    return this.#submit('collect', { bank: bank.name, preview }, rest);
  }

  /**
   * Looks for what this tenant's jobs left behind that have ended: a request that was on its way when its worker died
   * or was cut off may have arrived after the job was undone. Removes only what a journaled intent of such a job
   * names and no checkpoint counts on. Resolves with the jobs for which there was something to tell.
   */
  async reconcile(options?: Cancellable): Promise<readonly ReconciledJob[]> {
    return reconcileJobs(this.#services, this.tenant, callOf(options));
  }

  /** Does just what a preview says, or refuses. */
  run(preview: ProtectPreview, options?: RunProtectOptions): Promise<Job<ProtectResult>>;
  run(preview: AdoptPreview, options?: RunAdoptOptions): Promise<Job<ProtectResult>>;
  run(preview: RestorePreview, options?: JobOptions): Promise<Job<RestoreResult>>;
  run(preview: CopiesPreview<'verify'>, options?: JobOptions): Promise<Job<VerifyResult>>;
  run(preview: CopiesPreview<'remove'>, options?: JobOptions): Promise<Job<RemoveResult>>;
  async run(
    preview: Preview,
    options?: RunProtectOptions,
  ): Promise<Job<ProtectResult> | Job<RestoreResult> | Job<VerifyResult> | Job<RemoveResult>> {
    switch (preview.operation) {
      case 'protect':
        return this.#runProtect(preview, options);
      case 'adopt': {
        const { ownership, snapshots } = preview;
        const asked = { ownership, snapshots: snapshots.map(({ snapshot }) => snapshot) };
        return this.#runProtect(preview, options, parseAdoption('run', asked));
      }
      case 'restore':
        return this.#runRestore(preview, options);
      case 'verify':
        return this.verify(preview.checkpoint, options);
      case 'remove':
        return this.remove(preview.checkpoint, options);
      default:
        throw unknownPreview(preview);
    }
  }

  // Looks for drift itself, so that the host learns what it is before there is a job. The job looks again.
  async #runProtect(
    { plan: id, graph, policy: shown }: Pick<ProtectPreview, 'plan' | 'graph' | 'policy'>,
    options: RunProtectOptions = {},
    adopted?: Adoption,
  ): Promise<Job<ProtectResult>> {
    const { accept, ...asked } = parseOptions('run', runProtectSchema, options);
    const previewed = parsePreviewedGraph('run: graph', graph);
    const plan = await this.#plan(id);
    const provider = this.#services.operations.provider(plan.provider, this.tenant);
    const policy = policyAsPreviewed('run: policy', shown, (call) =>
      policyFor(provider, this.tenant, { plan: plan.policy, call }),
    );
    const found = await discoverPlan(plan, provider, callOf(asked));
    const drift = difference(previewed, found);
    if (!isEmptyDifference(drift) && (await accept?.(drift)) !== true) {
      throw new FafnirError(
        'DRIFTED',
        `the application of plan ${plan.name} is no longer as previewed: ${describeDifference(drift)}`,
      );
    }
    const what = { plan, graph: graphDigest(found), policy, ...(adopted && { adopted }) };
    return this.#protect(what, asked);
  }

  #runRestore(
    { checkpoint, to, chosen, location, map, into, conflict, safety, onFailure }: RestorePreview,
    options: JobOptions | undefined,
  ): Promise<Job<RestoreResult>> {
    const asked = {
      to,
      map,
      into,
      onFailure,
      ...(chosen && { resources: chosen }),
      ...(location !== null && { location }),
      ...(conflict && { conflict }),
      ...(mayOverwrite({ into, conflict }) && { safety }),
    };
    return this.restore(checkpoint, { ...asked, ...options });
  }

  #plan(id: PlanId): Promise<PlanRecord> {
    return this.#services.operations.plan(this.tenant, parsePlanId(id));
  }

  async #protect(
    asked: Pick<ProtectInput, 'plan' | 'graph' | 'policy' | 'adopted'>,
    { pauseMilliseconds = 10_000, ...options }: Omit<ProtectOptions, 'policy'>,
  ): Promise<Job<ProtectResult>> {
    const pause = parseOptions('protect', pauseSchema, pauseMilliseconds);
    const operation = asked.adopted === undefined ? 'protect' : 'adopt';
    return this.#submit(operation, { ...asked, pauseMilliseconds: pause }, options);
  }

  async #submit<Name extends keyof Operations>(
    operation: Name,
    asked: Omit<Operations[Name]['input'], 'whenBusy'>,
    options: JobOptions = {},
  ): Promise<Job<Operations[Name]['result']>> {
    const { signal, whenBusy = 'queue' } = parseOptions(operation, jobOptionsSchema, options);
    signal?.throwIfAborted();
    const input = { ...asked, whenBusy };
    const { runner, clock, ids } = this.#services;
    const createdAt = clock.now();
    const id = parseJobId(ids(createdAt));
    const { tenant, actor } = this;
    await runner.submit({ id, tenant, actor, operation, operationVersion: 1, input, createdAt });
    const job = this.jobs.handle<Operations[Name]['result']>(id);
    if (signal !== undefined) this.#cancelWith(signal, job);
    return job;
  }

  #cancelWith(signal: AbortSignal, job: Job<unknown>): void {
    const cancel = (): void => {
      // A job that cannot be told now learns of it no later than with its next heartbeat, or has ended.
      job.cancel().catch(() => undefined);
    };
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    const forget = this.#services.announcer.on('job.ended', ({ job: ended }) => {
      if (ended !== job.id) return;
      signal.removeEventListener('abort', cancel);
      forget();
    });
  }
}

const unknownPreview = (preview: never): FafnirError =>
  new FafnirError('INVALID_OPTIONS', `run: not a preview: ${JSON.stringify(preview).slice(0, 128)}`);
