import { createSecretKey, type KeyObject } from 'node:crypto';
import { resolve } from 'node:path';
import type { CallOptions, KeyProvider, WrappedKey } from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { assertContext, assertWrappable, open, seal } from '../core/key-wrapping.ts';
import { parseOptions } from '../core/options.ts';
import { unlessAborted } from '../core/unless-aborted.ts';
import { KEY_FILE_OPTIONS, type KeyFileOptions } from './file/options.ts';
import { readKeyFile } from './file/read.ts';

export { createKeyFile, rotateKeyFile } from './file/change.ts';
export type { KeyFileOptions } from './file/options.ts';

/**
 * Key-encryption keys in a file that only its owner may read; {@link createKeyFile} makes one. The file is read at the
 * first use, and again when a key is asked for that was not in it.
 */
export function keyFile(options: KeyFileOptions): KeyProvider {
  const { path } = parseOptions('keyFile', KEY_FILE_OPTIONS, options);
  return new KeyFile(resolve(path));
}

type HeldKey = { readonly id: string; readonly key: KeyObject };
type HeldKeys = readonly [HeldKey, ...HeldKey[]];

class KeyFile implements KeyProvider {
  readonly contract = 1;
  readonly #path: string;
  #held: HeldKeys | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async current({ signal }: CallOptions): Promise<string> {
    const [current] = await this.#keys(signal);
    return current.id;
  }

  async wrap(key: Uint8Array, context: string, { signal }: CallOptions): Promise<WrappedKey> {
    assertWrappable(key);
    assertContext(context);
    const [current] = await this.#keys(signal);
    return { by: current.id, bytes: seal(current.key, key, context) };
  }

  async unwrap({ by, bytes }: WrappedKey, context: string, { signal }: CallOptions): Promise<Uint8Array> {
    // Another process may have rotated the file since it was read.
    const found = find(await this.#keys(signal), by) ?? find(await this.#read(signal), by);
    if (found === undefined) {
      throw new FafnirError('UNKNOWN_KEY', `${this.#path} has no key ${JSON.stringify(by.slice(0, 64))}`);
    }
    const key = open(found.key, bytes, context);
    if (key !== undefined) return key;
    throw new FafnirError('CORRUPT', `this is no key that ${by} wrapped with this context`);
  }

  async #keys(signal: AbortSignal): Promise<HeldKeys> {
    signal.throwIfAborted();
    return this.#held ?? this.#read(signal);
  }

  async #read(signal: AbortSignal): Promise<HeldKeys> {
    const { keys } = await unlessAborted(readKeyFile(this.#path), signal);
    const [current, ...former] = keys;
    this.#held = [hold(current), ...former.map(hold)];
    return this.#held;
  }
}

// As a KeyObject a key is shown by no log and no inspection.
function hold({ id, key }: { readonly id: string; readonly key: string }): HeldKey {
  return { id, key: createSecretKey(key, 'base64') };
}

function find(keys: HeldKeys, id: string): HeldKey | undefined {
  return keys.find((key) => key.id === id);
}
