import * as z from 'zod';
import { assertBankKey, assertBankPrefix } from '../core/bank-keys.ts';
import { assertNoLock, lockedObject } from '../core/bank-locks.ts';
import { systemClock } from '../core/clock.ts';
import type {
  Bank,
  BankCapabilities,
  BankObject,
  BankPut,
  BankRead,
  CallOptions,
  Clock,
} from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { parseOptions, strictOptions } from '../core/options.ts';

/** Options of {@link memoryBank}. */
export interface MemoryBankOptions {
  /** Unique within an engine; recorded in checkpoints. */
  readonly name: string;
  /** Whether objects can be locked. Default: false. */
  readonly locks?: boolean;
  /** The time that locks go by. Default: the machine's. */
  readonly clock?: Pick<Clock, 'now'>;
}

const OPTIONS = strictOptions({
  name: z.string().min(1),
  locks: z.boolean().exactOptional(),
  clock: z
    .custom<Pick<Clock, 'now'>>(
      (value) => typeof value === 'object' && value !== null && 'now' in value,
      'must be a clock',
    )
    .exactOptional(),
}) satisfies z.ZodType<MemoryBankOptions>;

const OBJECT_SIZE = 1024 ** 3;

/** A bank in the memory of this process, for tests and trials: it is gone with the process. */
export function memoryBank(options: MemoryBankOptions): Bank {
  return new MemoryBank(parseOptions('memoryBank', OPTIONS, options));
}

type Stored = {
  readonly bytes: Uint8Array;
  readonly retainUntil: number;
};

// Every method works in one turn of the event loop, which is what makes `ifAbsent` atomic.
class MemoryBank implements Bank {
  readonly contract = 1;
  readonly capabilities: BankCapabilities;
  readonly name: string;
  readonly extend?: NonNullable<Bank['extend']>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #objects = new Map<string, Stored>();

  constructor({ name, locks = false, clock = systemClock }: MemoryBankOptions) {
    this.name = name;
    this.capabilities = Object.freeze({
      conditionalCreate: 'atomic',
      listingDelay: 0,
      objectSize: OBJECT_SIZE,
      locks,
    });
    this.#clock = clock;
    if (locks) this.extend = (keys, until, call) => this.#extend(keys, until, call);
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    { ifAbsent, retainUntil, signal }: BankPut,
  ): Promise<'created' | 'exists'> {
    assertBankKey(key);
    signal.throwIfAborted();
    if (!this.capabilities.locks) assertNoLock(this.name, retainUntil);
    if (ifAbsent && this.#objects.has(key)) return 'exists';
    if (this.#isLocked(key)) throw this.#locked(key);
    const bytes = join(body instanceof Uint8Array ? [body] : body);
    this.#objects.set(key, { bytes, retainUntil: retainUntil ?? 0 });
    return 'created';
  }

  async get(key: string, read: BankRead, { signal }: CallOptions): Promise<Uint8Array> {
    assertBankKey(key);
    signal.throwIfAborted();
    const object = this.#objects.get(key)?.bytes;
    if (object === undefined) throw new FafnirError('NOT_FOUND', `no object ${key} in the bank ${this.name}`);
    if ('limit' in read) {
      if (object.length <= read.limit) return object.slice();
      throw new FafnirError('LIMIT_EXCEEDED', `${key} has ${object.length} bytes, more than ${read.limit}`);
    }
    const { offset, length } = read;
    if (!(offset >= 0 && length >= 0 && offset + length <= object.length)) {
      throw new FafnirError('OUT_OF_RANGE', `${key} has ${object.length} bytes, not ${length} at ${offset}`);
    }
    return object.slice(offset, offset + length);
  }

  async head(key: string, { signal }: CallOptions): Promise<BankObject | undefined> {
    assertBankKey(key);
    signal.throwIfAborted();
    const object = this.#objects.get(key)?.bytes;
    return object === undefined ? undefined : { key, size: object.length };
  }

  async *list(
    prefix: string,
    { after = '', signal }: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    assertBankPrefix(prefix);
    signal.throwIfAborted();
    // Keys are ASCII, so the default order of strings is that of their bytes.
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    for (const key of keys) {
      signal.throwIfAborted();
      const object = this.#objects.get(key)?.bytes;
      if (object !== undefined) yield { key, size: object.length };
    }
  }

  async remove(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    const locked = keys.find((key) => this.#isLocked(key));
    for (const key of keys) if (!this.#isLocked(key)) this.#objects.delete(key);
    if (locked !== undefined) throw this.#locked(locked);
  }

  async #extend(keys: readonly string[], retainUntil: number, { signal }: CallOptions): Promise<void> {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    for (const key of keys) {
      const object = this.#objects.get(key);
      if (object === undefined)
        throw new FafnirError('NOT_FOUND', `no object ${key} in the bank ${this.name}`);
      this.#objects.set(key, { ...object, retainUntil: Math.max(object.retainUntil, retainUntil) });
    }
  }

  #isLocked(key: string): boolean {
    return (this.#objects.get(key)?.retainUntil ?? 0) > this.#clock.now();
  }

  #locked(key: string): FafnirError {
    return lockedObject(key, `the bank ${this.name}`, this.#objects.get(key)?.retainUntil);
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
