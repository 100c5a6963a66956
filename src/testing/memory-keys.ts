import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { CallOptions, KeyProvider, WrappedKey } from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { assertContext, assertWrappable, fingerprint, KEY_BYTES, open, seal } from '../core/key-wrapping.ts';
import { parseOptions, strictOptions } from '../core/options.ts';

/** Options of {@link memoryKeys}. */
export interface MemoryKeysOptions {
  /** For messages. Default `memory`. */
  readonly name?: string;
  /** The key-encryption key, 32 bytes, where several processes are to agree on one. Default: one of chance. */
  readonly key?: Uint8Array;
}

const OPTIONS = strictOptions({
  name: z.string().min(1).exactOptional(),
  key: z
    .instanceof(Uint8Array)
    .refine(({ length }) => length === KEY_BYTES, `must have ${KEY_BYTES} bytes`)
    .exactOptional(),
}) satisfies z.ZodType<MemoryKeysOptions>;

/** One key-encryption key in memory, for tests: what it wrapped is lost with the process, unless `key` was given. */
export function memoryKeys(options: MemoryKeysOptions = {}): KeyProvider {
  const { name = 'memory', key = randomBytes(KEY_BYTES) } = parseOptions('memoryKeys', OPTIONS, options);
  return new MemoryKeys(name, fingerprint(key), createSecretKey(key));
}

class MemoryKeys implements KeyProvider {
  readonly contract = 1;
  readonly #name: string;
  readonly #id: string;
  readonly #key: KeyObject;

  constructor(name: string, id: string, key: KeyObject) {
    this.#name = name;
    this.#id = id;
    this.#key = key;
  }

  async current({ signal }: CallOptions): Promise<string> {
    signal.throwIfAborted();
    return this.#id;
  }

  async wrap(key: Uint8Array, context: string, { signal }: CallOptions): Promise<WrappedKey> {
    signal.throwIfAborted();
    assertWrappable(key);
    assertContext(context);
    return { by: this.#id, bytes: seal(this.#key, key, context) };
  }

  async unwrap({ by, bytes }: WrappedKey, context: string, { signal }: CallOptions): Promise<Uint8Array> {
    signal.throwIfAborted();
    if (by !== this.#id) {
      throw new FafnirError('UNKNOWN_KEY', `${this.#name} has no key ${JSON.stringify(by.slice(0, 64))}`);
    }
    const key = open(this.#key, bytes, context);
    if (key !== undefined) return key;
    throw new FafnirError('CORRUPT', `this is no key that ${by} wrapped with this context`);
  }
}
