import { createCipheriv, createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallOptions, KeyProvider, WrappedKey } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { createKeyFile, keyFile, rotateKeyFile } from '../../src/keys/file.ts';
import type { KeyProviderSubject } from '../../src/testing/key-provider-suite.ts';

/** What is wrong with a provider; after a rotation also with the one from after it. */
export type Break = (sound: KeyProvider) => Partial<KeyProvider>;

/** A fresh subject whose provider breaks its contract so. */
export async function brokenSubject(change: Break): Promise<KeyProviderSubject> {
  const folder = await mkdtemp(join(tmpdir(), 'fafnir-broken-keys-'));
  const path = join(folder, 'keys.json');
  await createKeyFile({ path });
  const open = (): KeyProvider => {
    const sound = keyFile({ path });
    return {
      contract: 1,
      current: (call) => sound.current(call),
      wrap: (key, context, call) => sound.wrap(key, context, call),
      unwrap: (wrapped, context, call) => sound.unwrap(wrapped, context, call),
      ...change(sound),
    };
  };
  const rotate = async (): Promise<KeyProvider> => {
    await rotateKeyFile({ path });
    return open();
  };
  return { provider: open(), rotate, dispose: () => rm(folder, { recursive: true }) };
}

/** Bytes that the sound provider adds to a key. */
const SEAL = 28;
const decoded = ({ bytes }: WrappedKey): Buffer => Buffer.from(bytes, 'base64');

/** Binds keys to nothing. */
export const contextBlind: Break = (sound) => ({
  async wrap(key, context, call) {
    // Only what the sound one refuses is refused.
    await sound.wrap(key, context, call);
    return sound.wrap(key, 'any', call);
  },
  unwrap: (wrapped, _context, call) => sound.unwrap(wrapped, 'any', call),
});

/** Encrypts, and does not see that bytes were changed. */
export const unauthenticated: Break = (sound) => {
  const apply = (by: string, bytes: Uint8Array): Buffer =>
    createCipheriv('aes-256-ctr', createHash('sha256').update(by).digest(), Buffer.alloc(16)).update(bytes);
  return {
    async wrap(key, context, call) {
      const { by } = await sound.wrap(key, context, call);
      return { by, bytes: apply(by, key).toString('base64') };
    },
    async unwrap(wrapped, _context, call) {
      const known = await sound.current(call);
      if (wrapped.by !== known) await sound.unwrap({ by: wrapped.by, bytes: '' }, 'any', call);
      return Uint8Array.from(apply(wrapped.by, decoded(wrapped)));
    },
  };
};

/** Sees every change, and shows the key to whoever has what it wrapped. */
export const inTheOpen: Break = (sound) => ({
  async wrap(key, context, call) {
    const wrapped = await sound.wrap(key, context, call);
    return { by: wrapped.by, bytes: Buffer.concat([decoded(wrapped), key]).toString('base64') };
  },
  async unwrap(wrapped, context, call) {
    const all = decoded(wrapped);
    const size = Math.max(0, (all.length - SEAL) / 2);
    const isOurs = Number.isInteger(size) && all.toString('base64') === wrapped.bytes;
    const sealed = isOurs ? all.subarray(0, SEAL + size) : Buffer.alloc(0);
    const key = await sound.unwrap({ by: wrapped.by, bytes: sealed.toString('base64') }, context, call);
    if (all.subarray(SEAL + size).equals(key)) return key;
    throw new FafnirError('CORRUPT', 'the two copies of the key differ');
  },
});

/** Takes all text that is not well-formed for the same. */
export const replacing: Break = (sound) => ({
  wrap: (key, context, call) => sound.wrap(key, context.toWellFormed(), call),
  unwrap: (wrapped, context, call) => sound.unwrap(wrapped, context.toWellFormed(), call),
});

/** Takes any spelling of the wrapped bytes, as Node's own decoder does. */
export const lenientSpelling: Break = (sound) => ({
  unwrap: (wrapped, context, call) =>
    sound.unwrap({ by: wrapped.by, bytes: decoded(wrapped).toString('base64') }, context, call),
});

/** Holds its current key-encryption key and no former one. */
export const forgetful: Break = (sound) => ({
  async unwrap(wrapped, context, call) {
    if (wrapped.by === (await sound.current(call))) return sound.unwrap(wrapped, context, call);
    throw new FafnirError('UNKNOWN_KEY', `no key ${wrapped.by.slice(0, 64)}`);
  },
});

const trulyBy = new Map<string, string>();

/** Uses whichever key-encryption key fits, whatever the name says. */
export const nameBlind: Break = (sound) => ({
  async wrap(key, context, call) {
    const wrapped = await sound.wrap(key, context, call);
    trulyBy.set(wrapped.bytes, wrapped.by);
    return wrapped;
  },
  async unwrap({ by, bytes }, context, call) {
    try {
      return await sound.unwrap({ by, bytes }, context, call);
    } catch (error) {
      const other = trulyBy.get(bytes);
      if (!FafnirError.is(error, 'CORRUPT') || other === undefined || other === by) throw error;
      return await sound.unwrap({ by: other, bytes }, context, call);
    }
  },
});

/** Gives the same memory to all who ask for a key. */
export const sharing: Break = (sound) => {
  const known = new Map<string, Uint8Array>();
  return {
    async unwrap(wrapped, context, call) {
      const fresh = await sound.unwrap(wrapped, context, call);
      const key = known.get(wrapped.bytes) ?? fresh;
      known.set(wrapped.bytes, key);
      return key;
    },
  };
};

/** Gives keys in memory that holds other things too. */
export const pooling: Break = (sound) => ({
  async unwrap(wrapped, context, call) {
    const key = await sound.unwrap(wrapped, context, call);
    const pool = new Uint8Array(8_192);
    pool.set(key);
    return pool.subarray(0, key.length);
  },
});

/** Cuts keys that are too large. */
export const cutting: Break = (sound) => ({
  wrap: (key, context, call) => sound.wrap(key.subarray(0, 256), context, call),
});

/** Says no more than that something is wrong. */
export const vague: Break = (sound) => ({
  async unwrap(wrapped, context, call) {
    try {
      return await sound.unwrap(wrapped, context, call);
    } catch (cause) {
      if (!FafnirError.is(cause, 'UNKNOWN_KEY')) throw cause;
      throw new FafnirError('CORRUPT', 'something is wrong', { cause });
    }
  },
});

/** Answers callers who are gone. */
export const deaf: Break = (sound) => {
  const live: CallOptions = { signal: new AbortController().signal };
  return {
    current: () => sound.current(live),
    wrap: (key, context) => sound.wrap(key, context, live),
    unwrap: (wrapped, context) => sound.unwrap(wrapped, context, live),
  };
};

/** Quotes keys in its messages. */
export const talkative: Break = (sound) => ({
  async wrap(key, context, call) {
    try {
      return await sound.wrap(key, context, call);
    } catch (error) {
      if (!FafnirError.is(error, 'INVALID_OPTIONS')) throw error;
      throw new FafnirError('INVALID_OPTIONS', `cannot wrap ${Buffer.from(key).toString('hex')}`);
    }
  },
});

/** Keeps keys with its errors, where only an inspection shows them. */
export const tellTale: Break = (sound) => ({
  async wrap(key, context, call) {
    try {
      return await sound.wrap(key, context, call);
    } catch (error) {
      if (error instanceof FafnirError) throw Object.assign(error, { input: { key, context } });
      throw error;
    }
  },
});

/** Names another key-encryption key than it wraps under. */
export const misnaming: Break = (sound) => ({
  current: async (call) => `${(await sound.current(call)).slice(0, 16)}-next`,
});
