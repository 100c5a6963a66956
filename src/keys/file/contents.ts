import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { FafnirError } from '../../core/errors.ts';
import { fingerprint, KEY_BYTES } from '../../core/key-wrapping.ts';

/** A key-encryption key as the file has it. */
export type StoredKey = {
  /** Its fingerprint; keys that it wrapped name it in `by`. */
  readonly id: string;
  /** Base64 of 32 bytes. */
  readonly key: string;
};

/** All of a file, the current one first. */
export type StoredKeys = readonly [StoredKey, ...StoredKey[]];

const MOST_KEYS = 1_000;

const KEY = z.strictObject({ id: z.string(), key: z.string() });
const CONTENTS = z.strictObject({ version: z.literal(1), keys: z.tuple([KEY], KEY) });

/** A fresh random key. */
export function newKey(): StoredKey {
  const key = randomBytes(KEY_BYTES);
  return { id: fingerprint(key), key: key.toString('base64') };
}

/** These keys with a new one before them; `LIMIT_EXCEEDED` where a file can hold no more. */
export function withNewKey(path: string, keys: StoredKeys): StoredKeys {
  if (keys.length < MOST_KEYS) return [newKey(), ...keys];
  throw new FafnirError('LIMIT_EXCEEDED', `${path} has ${keys.length} keys, as many as a key file holds`, {
    hint: 'Make another key file, and keep this one for what it wrapped.',
  });
}

/** The text of a key file, in lines so that a key is found by its id in a backup. */
export function printKeys(keys: StoredKeys): string {
  return `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`;
}

/** The keys of a text; `CORRUPT` where it is none that {@link printKeys} made. */
export function parseKeys(path: string, text: string): StoredKeys {
  const { success, data } = CONTENTS.safeParse(parseJson(path, text));
  if (!success) throw corrupt(path, 'it is no key file of version 1');
  if (data.keys.length > MOST_KEYS) throw corrupt(path, `it has more than ${MOST_KEYS} keys`);
  if (!data.keys.every(isSound)) throw corrupt(path, 'a key in it does not fit its id');
  if (new Set(data.keys.map(({ id }) => id)).size < data.keys.length)
    throw corrupt(path, 'a key is twice in it');
  return data.keys;
}

/** The error for a file that is not as it was written. */
export function corrupt(path: string, why: string): FafnirError {
  return new FafnirError('CORRUPT', `cannot use the key file ${path}: ${why}`, {
    hint: 'Restore the key file from its backup.',
  });
}

// Without the error of the parser, which quotes the text and with it a key.
function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw corrupt(path, 'it is not JSON');
  }
}

function isSound({ id, key }: StoredKey): boolean {
  const bytes = Buffer.from(key, 'base64');
  return bytes.length === KEY_BYTES && bytes.toString('base64') === key && fingerprint(bytes) === id;
}
