import * as z from 'zod';
import { systemClock } from '../../core/clock.ts';
import type { Bank, BankObject, CallOptions, Clock } from '../../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { Bandwidth } from './bandwidth.ts';
import { bodySize } from './body-size.ts';
import { clockOption } from './clock-option.ts';
import { Places } from './places.ts';
import { wrap } from './wrap.ts';

/** Options of {@link limited}. */
export interface LimitedOptions {
  /** Calls under way at once; at least 1. A list counts while its next object is being fetched. */
  readonly concurrency: number;
  /** Bytes of bodies, both ways together, in the long run; those of one second may pass at once. Default: any. */
  readonly bytesPerSecond?: number;
  /** The time. Default: the machine's. */
  readonly clock?: Clock;
}

const OPTIONS = strictOptions({
  concurrency: z.int().min(1),
  bytesPerSecond: z.number().positive().exactOptional(),
  clock: clockOption.exactOptional(),
}) satisfies z.ZodType<LimitedOptions>;

/**
 * Bounds the calls under way and the bytes per second; calls start in the order they came. A call larger than what may
 * pass at once still passes, and those behind it wait the longer. What a get will bring is known only afterwards, so
 * that as many gets as may be under way can be ahead of the rate.
 */
export function limited(bank: Bank, options: LimitedOptions): Bank {
  const { concurrency, bytesPerSecond, clock = systemClock } = parseOptions('limited', OPTIONS, options);
  const places = new Places(concurrency);
  const bandwidth = bytesPerSecond === undefined ? undefined : new Bandwidth(bytesPerSecond, clock);

  async function* list(
    prefix: string,
    call: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    const objects = bank.list(prefix, call)[Symbol.asyncIterator]();
    try {
      for (;;) {
        // No place is held while the reader works on an object: it may need one for that.
        const { done, value } = await places.run(() => objects.next(), call);
        if (done) return;
        yield value;
      }
    } finally {
      await objects.return?.();
    }
  }
  return wrap(bank, {
    put: (key, body, call) =>
      places.run(async () => {
        await bandwidth?.take(bodySize(body), call);
        return bank.put(key, body, call);
      }, call),
    get: (key, read, call) =>
      places.run(async () => {
        await bandwidth?.take(0, call);
        const bytes = await bank.get(key, read, call);
        bandwidth?.owe(bytes.length);
        return bytes;
      }, call),
    head: (key, call) => places.run(() => bank.head(key, call), call),
    list,
    remove: (keys, call) => places.run(() => bank.remove(keys, call), call),
    extend: (extend) => (keys, until, call) => places.run(() => extend(keys, until, call), call),
  });
}
