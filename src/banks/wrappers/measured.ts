import type * as z from 'zod';
import { systemClock } from '../../core/clock.ts';
import type { Bank, BankObject, CallOptions, Clock, Observer } from '../../core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../core/errors.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { bodySize } from './body-size.ts';
import { clockOption } from './clock-option.ts';
import { wrap } from './wrap.ts';

/** Options of {@link measured}. */
export interface MeasuredOptions {
  /** The time. Default: the machine's. */
  readonly clock?: Clock;
}

const OPTIONS = strictOptions({ clock: clockOption.exactOptional() }) satisfies z.ZodType<MeasuredOptions>;

/** What is published on the channel `bank.called` when a call has ended. No key is in it. */
export type BankCalled = {
  /** The bank's name. */
  readonly bank: string;
  /** The method. */
  readonly operation: 'put' | 'get' | 'head' | 'list' | 'remove' | 'extend';
  /** How long it took; of a list, what the bank took and not what was done with its objects. */
  readonly milliseconds: number;
  /** Objects created, read, found, listed, or named to be removed or locked; 0 where the call failed, except for a list. */
  readonly objects: number;
  /** Bytes of bodies stored or read; 0 where the call failed. */
  readonly bytes: number;
  /** The code of the error, `CANCELLED` for an abort with an error of the caller's own; null where there was none. */
  readonly error: ErrorCode | null;
};

type Counts = Pick<BankCalled, 'objects' | 'bytes'>;
const NOTHING: Counts = { objects: 0, bytes: 0 };

/** Tells the observer of every call, on the channel `bank.called`, as {@link BankCalled}. */
export function measured(bank: Bank, observer: Observer, options: MeasuredOptions = {}): Bank {
  const { clock = systemClock } = parseOptions('measured', OPTIONS, options);

  const tell = (facts: Omit<BankCalled, 'bank'>): void => {
    const called: BankCalled = { bank: bank.name, ...facts };
    // An observer that throws loses nothing but its message.
    new Promise((resolve) => resolve(observer.publish('bank.called', called))).catch(() => undefined);
  };
  const measure = async <Answer>(
    operation: BankCalled['operation'],
    work: () => Promise<Answer>,
    count: (answer: Answer) => Counts,
    { signal }: CallOptions,
  ): Promise<Answer> => {
    const start = clock.monotonic();
    const facts = () => ({ operation, milliseconds: clock.monotonic() - start });
    try {
      const answer = await work();
      tell({ ...facts(), ...count(answer), error: null });
      return answer;
    } catch (error) {
      tell({ ...facts(), ...NOTHING, error: codeOf(error, signal) });
      throw error;
    }
  };
  async function* list(
    prefix: string,
    call: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    let milliseconds = 0;
    let objects = 0;
    let error: ErrorCode | null = null;
    const found = bank.list(prefix, call)[Symbol.asyncIterator]();
    const next = async (): Promise<IteratorResult<BankObject>> => {
      const start = clock.monotonic();
      try {
        return await found.next();
      } finally {
        milliseconds += clock.monotonic() - start;
      }
    };
    try {
      for (let step = await next(); !step.done; step = await next()) {
        objects += 1;
        yield step.value;
      }
    } catch (thrown) {
      error = codeOf(thrown, call.signal);
      throw thrown;
    } finally {
      tell({ operation: 'list', milliseconds, objects, bytes: 0, error });
      await found.return?.();
    }
  }
  return wrap(bank, {
    put: (key, body, call) =>
      measure(
        'put',
        () => bank.put(key, body, call),
        (outcome) => (outcome === 'created' ? { objects: 1, bytes: bodySize(body) } : NOTHING),
        call,
      ),
    get: (key, read, call) =>
      measure(
        'get',
        () => bank.get(key, read, call),
        ({ length }) => ({ objects: 1, bytes: length }),
        call,
      ),
    head: (key, call) =>
      measure(
        'head',
        () => bank.head(key, call),
        (object) => ({ objects: object === undefined ? 0 : 1, bytes: 0 }),
        call,
      ),
    list,
    remove: (keys, call) =>
      measure(
        'remove',
        () => bank.remove(keys, call),
        () => ({ objects: keys.length, bytes: 0 }),
        call,
      ),
    extend: (extend) => (keys, until, call) =>
      measure(
        'extend',
        () => extend(keys, until, call),
        () => ({ objects: keys.length, bytes: 0 }),
        call,
      ),
  });
}

const codeOf = (error: unknown, signal: AbortSignal): ErrorCode => {
  if (FafnirError.is(error)) return error.code;
  return signal.aborted ? 'CANCELLED' : 'PLUGIN_FAILED';
};
