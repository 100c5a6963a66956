import * as z from 'zod';
import { assertBankKey, assertBankPrefix } from '../core/bank-keys.ts';
import type { Bank, BankCapabilities, BankObject, BankRead, CallOptions } from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { parseOptions, strictOptions } from '../core/options.ts';

/** Options of {@link memoryBank}. */
export interface MemoryBankOptions {
  /** Unique within an engine; recorded in checkpoints. */
  readonly name: string;
}

const OPTIONS = strictOptions({ name: z.string().min(1) }) satisfies z.ZodType<MemoryBankOptions>;

const CAPABILITIES: BankCapabilities = Object.freeze({
  conditionalCreate: 'atomic',
  listingDelay: 0,
  objectSize: 1024 ** 3,
});

/** A bank in the memory of this process, for tests and trials: it is gone with the process. */
export function memoryBank(options: MemoryBankOptions): Bank {
  return new MemoryBank(parseOptions('memoryBank', OPTIONS, options).name);
}

// Every method works in one turn of the event loop, which is what makes `ifAbsent` atomic.
class MemoryBank implements Bank {
  readonly contract = 1;
  readonly capabilities: BankCapabilities = CAPABILITIES;
  readonly name: string;
  readonly #objects = new Map<string, Uint8Array>();

  constructor(name: string) {
    this.name = name;
  }

  async put(
    key: string,
    body: Uint8Array | readonly Uint8Array[],
    { ifAbsent, signal }: CallOptions & { readonly ifAbsent: boolean },
  ): Promise<'created' | 'exists'> {
    assertBankKey(key);
    signal.throwIfAborted();
    if (ifAbsent && this.#objects.has(key)) return 'exists';
    this.#objects.set(key, join(body instanceof Uint8Array ? [body] : body));
    return 'created';
  }

  async get(key: string, read: BankRead, { signal }: CallOptions): Promise<Uint8Array> {
    assertBankKey(key);
    signal.throwIfAborted();
    const object = this.#objects.get(key);
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
    const object = this.#objects.get(key);
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
      const object = this.#objects.get(key);
      if (object !== undefined) yield { key, size: object.length };
    }
  }

  async remove(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    for (const key of keys) this.#objects.delete(key);
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
