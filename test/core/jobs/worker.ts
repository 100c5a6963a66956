import type { JobClaim, JobId, JobStore, JsonObject, TenantId } from '../../../src/core/contracts/index.ts';
import type { EngineEvent } from '../../../src/core/events.ts';
import { parseJobId, parseTenantId } from '../../../src/core/identity.ts';
import type { ChildRunner } from '../../../src/core/jobs/children.ts';
import { type Departure, execute } from '../../../src/core/jobs/execute.ts';
import type { Operation, OperationContext } from '../../../src/core/jobs/operation.ts';
import type { StepPolicies } from '../../../src/core/policy/step-policy.ts';
import type { ManualClock } from './manual-clock.ts';

/** How long the claims of these tests last. */
export const LEASE = 3_000;
/** Whose job. */
export const TENANT: TenantId = parseTenantId('acme');
/** The job of these tests. */
export const JOB: JobId = parseJobId('job-1');

/** An operation of the methods given; by default it clears up nothing. */
export function operationOf(
  run: (context: OperationContext) => Promise<JsonObject>,
  change: Partial<Operation> = {},
): Operation {
  return {
    name: 'test',
    version: 1,
    run,
    settle: async (_, result) => result,
    undo: async () => undefined,
    removeLate: async () => [],
    ...change,
  };
}

/** Adds the job. */
export async function enqueue(store: JobStore): Promise<void> {
  await store.enqueue({
    id: JOB,
    tenant: TENANT,
    actor: 'test',
    operation: 'test',
    operationVersion: 1,
    input: {},
    createdAt: 0,
  });
}

/** Claims the job, which must be free. */
export async function claimOf(store: JobStore, clock: ManualClock, lease: number = LEASE): Promise<JobClaim> {
  const claim = await store.claim({ now: clock.now(), leaseUntil: clock.now() + lease, job: JOB });
  if (claim === undefined) throw new Error('the job cannot be claimed');
  return claim;
}

/** A worker that has taken the job up. */
export interface Worker {
  /** How it ended for this worker. */
  readonly ended: Promise<Departure>;
  /** Closes the worker. */
  readonly closing: AbortController;
  /** Asks for the job's end in this process. */
  readonly cancelled: AbortController;
  /** What it told. */
  readonly events: EngineEvent[];
}

/** Claims the job and runs it; the pauses of its steps are the longest that chance allows. */
export async function work(
  store: JobStore,
  clock: ManualClock,
  operation: Operation,
  policies: StepPolicies = {},
): Promise<Worker> {
  const claim = await claimOf(store, clock);
  const [closing, cancelled] = [new AbortController(), new AbortController()];
  const events: EngineEvent[] = [];
  const ended = execute({
    store,
    claim,
    operation,
    clock,
    random: () => 1,
    policies,
    leaseMilliseconds: LEASE,
    closing: closing.signal,
    cancelled: cancelled.signal,
    children: noChildren,
    emit: (event) => events.push(event),
  });
  // A test that expects a rejection does so later.
  ended.catch(() => undefined);
  return { ended, closing, cancelled, events };
}

const noChildren: ChildRunner = {
  run: () => Promise.reject(new Error('this worker runs no children')),
  start: () => Promise.reject(new Error('this worker runs no children')),
  end: () => Promise.reject(new Error('this worker runs no children')),
};

/** Rejects when the signal is aborted, and never resolves. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
