import * as z from 'zod';
import { systemClock } from '../../core/clock.ts';
import type { Bank, BankObject, CallOptions, Clock } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { clockOption } from './clock-option.ts';
import { wrap } from './wrap.ts';

/** Options of {@link retried}. */
export interface RetriedOptions {
  /** How often a call is tried at most; for a list, without an object in between. At least 1. Default 5. */
  readonly attempts?: number;
  /** The pause before the second attempt; it doubles with each, and up to half of it is left to chance. Default 250. */
  readonly firstPauseMilliseconds?: number;
  /** No pause is longer, unless the bank itself asks for it. Default 30,000. */
  readonly longestPauseMilliseconds?: number;
  /** The time. Default: the machine's. */
  readonly clock?: Clock;
  /** Chance, from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

const OPTIONS = strictOptions({
  attempts: z.int().min(1).exactOptional(),
  firstPauseMilliseconds: z.int().nonnegative().exactOptional(),
  longestPauseMilliseconds: z.int().nonnegative().exactOptional(),
  clock: clockOption.exactOptional(),
  random: z
    .custom<() => number>((value) => typeof value === 'function', 'must be a function')
    .exactOptional(),
}) satisfies z.ZodType<RetriedOptions>;

/**
 * Tries calls again whose errors are `retryable`, after the pause that the bank asks for where it does. A list goes on
 * after the last object that it gave.
 *
 * A `put` with `ifAbsent` may answer `exists` where an earlier attempt of its own arrived though its answer was lost.
 * `created` stays certain: it is said to no more callers than the bank itself says it to. So who needs to know whose
 * object it is writes something of its own into it, and reads it back when the answer is `exists`.
 */
export function retried(bank: Bank, options: RetriedOptions = {}): Bank {
  const parsed = parseOptions('retried', OPTIONS, options);
  const { attempts = 5, clock = systemClock, random = Math.random } = parsed;
  const { firstPauseMilliseconds: first = 250, longestPauseMilliseconds: longest = 30_000 } = parsed;

  // Resolves when it is time for the next attempt; rejects where there is to be none.
  const pause = async (failed: number, error: unknown, { signal }: CallOptions): Promise<void> => {
    // Also where the reason is retryable: that is for the one who aborted.
    signal.throwIfAborted();
    if (!FafnirError.is(error) || !error.retryable || failed >= attempts) throw error;
    const full = Math.min(longest, first * 2 ** (failed - 1));
    const own = (full / 2) * (1 + random());
    await clock.sleep(Math.max(error.retryAfterMilliseconds ?? 0, own), { signal });
  };
  const retry = async <Answer>(work: () => Promise<Answer>, call: CallOptions): Promise<Answer> => {
    for (let failed = 1; ; failed += 1) {
      try {
        return await work();
      } catch (error) {
        await pause(failed, error, call);
      }
    }
  };
  async function* list(
    prefix: string,
    { after, signal }: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    let last = after;
    for (let failed = 1; ; failed += 1) {
      try {
        for await (const object of bank.list(
          prefix,
          last === undefined ? { signal } : { signal, after: last },
        )) {
          last = object.key;
          failed = 1;
          yield object;
        }
        return;
      } catch (error) {
        await pause(failed, error, { signal });
      }
    }
  }
  return wrap(bank, {
    put: (key, body, call) => retry(() => bank.put(key, body, call), call),
    get: (key, read, call) => retry(() => bank.get(key, read, call), call),
    head: (key, call) => retry(() => bank.head(key, call), call),
    list,
    remove: (keys, call) => retry(() => bank.remove(keys, call), call),
    extend: (extend) => (keys, until, call) => retry(() => extend(keys, until, call), call),
  });
}
