import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  CallOptions,
  ErrorRecord,
  JobClaim,
  JobOutcome,
  JobRecord,
  JobStore,
  JsonObject,
  Place,
} from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import type { EngineEvent } from '../events.ts';
import { joinParts } from '../identity.ts';
import type { QuotaOf } from '../policy/quota.ts';
import { endOf, foundBy } from './audit.ts';
import { CHILD, type ChildRunner, endChildren, runChild, startJob } from './children.ts';
import { hold, Postponed } from './hold.ts';
import { Journal } from './journal.ts';
import { type KeptLease, keepLease } from './keep-lease.ts';
import type { Leftover } from './leftovers.ts';
import type { Operation, OperationContext } from './operation.ts';
import { Progress } from './progress.ts';
import { Steps, type StepSettings } from './steps.ts';
import { Usage } from './usage.ts';
import { pauseUntilWoken } from './waiting.ts';

const DONE = 'done';
const UNDOING = 'undo';

/** What the execution of a claimed job needs. */
export interface Execution extends StepSettings {
  /** Where the job lives. */
  readonly store: JobStore;
  /** The right to run it. */
  readonly claim: JobClaim;
  /** Its code. */
  readonly operation: Operation;
  /** How long a claim lasts unless extended. */
  readonly leaseMilliseconds: number;
  /** Aborted when this worker closes: the job is put down for another to take up. */
  readonly closing: AbortSignal;
  /** Aborted when this process was asked for the job's end; others learn it from the store. */
  readonly cancelled: AbortSignal;
  /** Runs jobs that are parts of this one. */
  readonly children: ChildRunner;
  /** What a job needs a place of while it runs. */
  placesOf?(job: JobRecord): readonly Place[];
  /** Tells what a tenant may have; without it nothing is reserved. */
  readonly quotaOf?: QuotaOf;
  /** Tells the host. */
  emit(event: EngineEvent): void;
}

/**
 * What became of a job in the hands of one worker: how it ended; `put-down`, because the worker closes or the job was
 * postponed; `unaccounted`, because another worker took over, or the store refused its journal for good: then the
 * job's end may not account for all that this worker did.
 */
export type Departure = JobOutcome | 'put-down' | 'unaccounted';

/** Runs a claimed job to its end, from wherever an earlier worker left it, unless the worker has to let go of it. */
export async function execute(execution: Execution): Promise<Departure> {
  const { store, claim, clock, closing } = execution;
  const lease = keepLease(execution);
  let usage = new Usage(claim.job);
  try {
    const journal = await Journal.open(store, claim);
    usage = new Usage(claim.job, journal);
    const stopping = AbortSignal.any([closing, lease.lost, journal.failed]);
    const cancelled = AbortSignal.any([execution.cancelled, lease.cancelled]);
    const held = { ...execution, assertHeld: lease.assertHeld, usage };
    const outcome = await usage.count(() => runOrUndo(held, journal, stopping, cancelled));
    return await end(execution, outcome, usage);
  } catch (error) {
    if (FafnirError.is(error, 'FENCED') || lease.lost.aborted) return 'unaccounted';
    if (error instanceof Postponed) {
      await usage.save();
      await store.postpone(claim, error.until);
      return 'put-down';
    }
    if (!closing.aborted) {
      // What the store refuses for good it will refuse the next worker too.
      if (FafnirError.is(error) && error.retryable) throw error;
      await end(execution, { state: 'failed', error: errorRecord(error) }, usage);
      return 'unaccounted';
    }
    // What cannot be written down is missing, and the next worker says so.
    await usage.save().catch(() => undefined);
    await lease.release();
    // The lease ends now, so that whoever starts next need not wait for it. If it cannot be ended, it runs out.
    await store.heartbeat(claim, clock.now() - 1).catch(() => undefined);
    return 'put-down';
  } finally {
    await lease.release();
  }
}

async function end(execution: Execution, outcome: JobOutcome, usage: Usage): Promise<JobOutcome> {
  const { id: job, tenant } = execution.claim.job;
  const finished = endOf(execution.claim.job, outcome, execution.clock.now(), usage.total());
  await execution.store.finish(execution.claim, outcome, finished);
  execution.emit({ type: 'job.ended', job, tenant, outcome });
  return outcome;
}

type Held = Execution & Pick<KeptLease, 'assertHeld'> & { readonly usage: Usage };

async function runOrUndo(
  execution: Held,
  journal: Journal,
  stopping: AbortSignal,
  cancelled: AbortSignal,
): Promise<JobOutcome> {
  const { operation } = execution;
  if (journal.result(DONE) === undefined && journal.result(UNDOING) === undefined) {
    await decide(execution, journal, stopping, cancelled);
  }
  using steps = new Steps(journal, execution, stopping, execution.assertHeld);
  const context = contextOf(execution, journal, steps, stopping, stopping);
  const done = journal.result(DONE) as JsonObject | undefined;
  try {
    if (done !== undefined) return { state: 'succeeded', result: await operation.settle(context, done) };
    const error = journal.result(UNDOING) as ErrorRecord;
    await endChildren(execution.children, execution.store, execution.claim.job, journal.intents(), stopping);
    await operation.undo(context, error);
    return { state: error.code === 'CANCELLED' ? 'cancelled' : 'failed', error };
  } catch (error) {
    await steps.settled();
    stopping.throwIfAborted();
    const left = errorRecord(error);
    // A success stands, whatever could not be cleared up after it.
    if (done !== undefined) {
      const leftover: Leftover = { what: 'clear up after the job', error: left };
      return { state: 'succeeded', result: { ...done, leftovers: [leftover] } };
    }
    const first = journal.result(UNDOING) as ErrorRecord;
    const message = `${first.message}; undoing it failed: ${left.message}`;
    return { state: 'failed', error: { ...first, message } };
  }
}

// Runs the operation and journals which way it went: from here on that is how it ends, whoever goes on with it.
async function decide(
  execution: Held,
  journal: Journal,
  stopping: AbortSignal,
  cancelled: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([stopping, cancelled, failed.signal]);
  using steps = new Steps(journal, execution, signal, execution.assertHeld);
  try {
    await occupy(execution, steps, execution.placesOf?.(execution.claim.job) ?? [], signal);
    const result = await execution.operation.run(contextOf(execution, journal, steps, signal, stopping));
    await execution.usage.save();
    await journal.record(journal.begin(DONE, journal), result);
  } catch (error) {
    failed.abort(error);
    await steps.settled();
    stopping.throwIfAborted();
    if (error instanceof Postponed && !cancelled.aborted) throw error;
    await execution.usage.save();
    await journal.record(
      journal.begin(UNDOING, journal),
      errorRecord(cancelled.aborted ? cancelled.reason : error),
    );
  }
}

// While it waits, the job has none of them.
async function occupy(
  execution: Execution,
  steps: Steps,
  places: readonly Place[],
  signal: AbortSignal,
): Promise<void> {
  if (places.length === 0) return;
  const { store, claim, clock } = execution;
  const ask = (): Promise<boolean> => steps.retry('read', () => store.occupy(claim, places, clock.now()));
  while (!(await ask())) await pauseUntilWoken(execution, signal);
}

async function ensured<Value>(
  execution: Execution,
  journal: Journal,
  kind: string,
  work: (call: CallOptions) => Promise<Value>,
): Promise<Value> {
  using steps = new Steps(journal, execution, new AbortController().signal, () => undefined);
  return await steps.retry(kind, work);
}

function contextOf(
  execution: Held,
  journal: Journal,
  steps: Steps,
  signal: AbortSignal,
  stopping: AbortSignal,
): OperationContext {
  const { claim: parent } = execution;
  const { id: job, tenant } = parent.job;
  return {
    job: parent.job,
    signal,
    clock: execution.clock,
    usage: execution.usage,
    progress: new Progress((progress) => execution.emit({ type: 'job.progress', job, tenant, progress })),
    step: (name, work, input) => steps.step(name, work, input),
    effect: (name, work, input) => steps.effect(name, work, input),
    toldEffect: (name, work, tell) =>
      steps.toldEffect(name, work, (value) => foundBy(parent.job, tell(value), execution.clock.now())),
    child: (name, request, progress) => {
      const step = joinParts(CHILD, request.operation, name);
      const run = (call: CallOptions): Promise<JsonObject> =>
        runChild(execution.children, { parent, step, stopping, ...call }, request, progress);
      return steps.effect(step, run, request.input);
    },
    start: (name, request) => {
      const step = joinParts('start', request.operation, name);
      return steps.effect(step, () => startJob(execution.children, parent, step, request), request.input);
    },
    hold: (leases, whenBusy) => hold(execution, leases, whenBusy, signal),
    occupy: (places) => occupy(execution, steps, places, signal),
    reserve: (reservation) =>
      steps.retry('read', async () => {
        const quota = await execution.quotaOf?.(tenant);
        if (quota !== undefined) await execution.store.quotas.reserve(parent, reservation, quota);
      }),
    retry: (work) => steps.retry('read', work),
    ensure: (kind, work) => ensured(execution, journal, kind, work),
    intents: () => journal.intents(),
    result: (name) => journal.result(name),
    results: (prefix) => journal.results(prefix),
    emit: (event) => execution.emit(event),
    nextTurn,
  };
}
