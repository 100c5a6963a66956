import type { CallOptions, JobId, JobOutcome, TenantId } from '../contracts/index.ts';
import { errorOf } from '../errors.ts';
import type { EngineEvent, EventOf, JobEvent } from '../events.ts';
import { parseReasoned, type Reasoned } from './auditing.ts';

/** A job that runs, or ran, in this process or another. */
export interface Job<Result> {
  /** Names it, also after this process has ended. */
  readonly id: JobId;
  /**
   * What happens to it, from now on to its end; the last event is `job.ended`. Progress that is not taken in time is
   * replaced by newer progress. Events of a job that another process runs are its end alone.
   */
  events(options?: Partial<CallOptions>): AsyncIterable<JobEvent>;
  /** Resolves with what it made; rejects with the error that it failed with, or with `CANCELLED`. */
  result(options?: Partial<CallOptions>): Promise<Result>;
  /** Asks for its end and waits for it; what it did is undone. False where it is over already. */
  cancel(options?: Reasoned): Promise<boolean>;
}

/** What a handle needs of the engine. */
export interface JobAccess {
  /** Resolves with the outcome. */
  outcome(signal: AbortSignal): Promise<JobOutcome>;
  /** Asks for the end. */
  cancel(options: Reasoned): Promise<boolean>;
  /** Adds a listener to all jobs. */
  on<Type extends EngineEvent['type']>(type: Type, listener: (event: EventOf<Type>) => void): () => void;
}

const forever: AbortSignal = new AbortController().signal;

/** A handle on a job. */
export function jobHandle<Result>(tenant: TenantId, id: JobId, access: JobAccess): Job<Result> {
  return {
    id,
    events: (options = {}) => jobEvents(tenant, id, access, options.signal ?? forever),
    async result(options = {}) {
      const outcome = await access.outcome(options.signal ?? forever);
      if (outcome.state === 'succeeded') return outcome.result as Result;
      throw errorOf(outcome.error);
    },
    async cancel(options = {}) {
      const asked = await access.cancel(parseReasoned('cancel', options));
      if (asked) await access.outcome(forever);
      return asked;
    },
  };
}

async function* jobEvents(
  tenant: TenantId,
  job: JobId,
  access: JobAccess,
  signal: AbortSignal,
): AsyncGenerator<JobEvent> {
  // Only the newest of each kind is kept, so that a slow reader costs no memory.
  const waiting = new Map<string, JobEvent>();
  let wake = (): void => undefined;
  const keep = (event: JobEvent): void => {
    if (event.job !== job || event.tenant !== tenant) return;
    waiting.set(event.type, event);
    wake();
  };
  const stopped = new AbortController();
  const removers = [access.on('job.started', keep), access.on('job.progress', keep)];
  let outcome: JobOutcome | undefined;
  const ended = access.outcome(AbortSignal.any([signal, stopped.signal])).then((value) => {
    outcome = value;
  });
  // Waited for below; but whoever leaves the loop early does not care how the job ends.
  ended.catch(() => undefined);
  try {
    while (outcome === undefined) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (waiting.size === 0) await Promise.race([woken, ended]);
      yield* taken(waiting);
    }
    yield* taken(waiting);
    yield { type: 'job.ended', job, tenant, outcome };
  } finally {
    for (const remove of removers) remove();
    stopped.abort();
  }
}

function taken(waiting: Map<string, JobEvent>): readonly JobEvent[] {
  const events = [...waiting.values()];
  waiting.clear();
  return events;
}
