import type { CallOptions, Clock } from '../../core/contracts/index.ts';

/** How long work may take, and what it ends with after that. */
export interface Deadline {
  /** Whose time counts. */
  readonly clock: Clock;
  /** From now on. */
  readonly milliseconds: number;
  /** Makes the error of work that was not done in time. */
  late(): Error;
}

/** Runs work whose signal is aborted when the caller goes or the time is up. */
export async function withDeadline<Value>(
  { clock, milliseconds, late }: Deadline,
  { signal }: CallOptions,
  work: (call: CallOptions) => Promise<Value>,
): Promise<Value> {
  signal.throwIfAborted();
  const timeUp = new AbortController();
  const done = new AbortController();
  clock.sleep(milliseconds, { signal: done.signal }).then(
    () => timeUp.abort(),
    () => undefined,
  );
  try {
    return await work({ signal: AbortSignal.any([signal, timeUp.signal]) });
  } catch (error) {
    signal.throwIfAborted();
    throw timeUp.signal.aborted ? late() : error;
  } finally {
    done.abort();
  }
}

/** By which work tells how it goes. */
export interface Movement {
  /** Something moved. */
  moved(): void;
  /** What moves next is the caller's affair, who may take any time until something has moved again. */
  held(): void;
}

/**
 * Runs work whose signal is aborted when the caller goes, or when nothing has moved for the time of the deadline; that
 * is found after up to twice as long.
 */
export async function withoutStandstill<Value>(
  { clock, milliseconds, late }: Deadline,
  { signal }: CallOptions,
  work: (call: CallOptions, movement: Movement) => Promise<Value>,
): Promise<Value> {
  signal.throwIfAborted();
  const standstill = new AbortController();
  const done = new AbortController();
  let state: 'held' | 'moved' | 'still' = 'moved';
  const movement: Movement = {
    moved: () => {
      state = 'moved';
    },
    held: () => {
      state = 'held';
    },
  };
  const watch = async (): Promise<void> => {
    while (state !== 'still') {
      if (state === 'moved') state = 'still';
      await clock.sleep(milliseconds, { signal: done.signal });
    }
    standstill.abort();
  };
  watch().catch(() => undefined);
  try {
    return await work({ signal: AbortSignal.any([signal, standstill.signal]) }, movement);
  } catch (error) {
    signal.throwIfAborted();
    throw standstill.signal.aborted ? late() : error;
  } finally {
    done.abort();
  }
}
