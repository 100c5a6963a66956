import { randomBytes } from 'node:crypto';
import { FafnirError } from '../errors.ts';
import {
  assertCommitment,
  COMMITMENT_BYTES,
  counterNonce,
  type DataKey,
  deriveSubkey,
  open,
  seal,
} from './sealing.ts';

const MAGIC = new TextEncoder().encode('fafobj1\n');
const KEY_ID_BYTES = 8;
const SALT_BYTES = 16;
const HEAD_BYTES = MAGIC.length + KEY_ID_BYTES + SALT_BYTES + COMMITMENT_BYTES;

/**
 * An object of its own, sealed: 8 bytes of magic, 8 of the data key's id, 16 of salt, 32 of commitment, then the sealed
 * bytes. It is bound to the repository and to its name in the bank.
 */
export function sealObject(key: DataKey, name: string, plain: Uint8Array): readonly Uint8Array[] {
  // Of chance: the same name may be written twice, by two workers of a job, with different contents.
  const salt = randomBytes(SALT_BYTES);
  const subkey = deriveSubkey(key, salt, 'record');
  const head = Buffer.concat([MAGIC, Buffer.from(key.id, 'hex'), salt, subkey.commitment]);
  return [head, seal(subkey.key, counterNonce(0), boundTo(key, name), plain)];
}

/** The id of the key that an object was sealed under; `CORRUPT` where it is no sealed object. */
export function keyIdOfObject(name: string, object: Uint8Array): string {
  const isObject = object.length >= HEAD_BYTES && MAGIC.every((byte, at) => object[at] === byte);
  if (!isObject) throw new FafnirError('CORRUPT', `${name} is not a sealed object`);
  return Buffer.from(object.subarray(MAGIC.length, MAGIC.length + KEY_ID_BYTES)).toString('hex');
}

/** Opens a sealed object under its key; `CORRUPT` where it is not as it was sealed under this name. */
export function openObject(key: DataKey, name: string, object: Uint8Array): Uint8Array {
  if (keyIdOfObject(name, object) !== key.id) {
    throw new FafnirError('CORRUPT', `${name} was not sealed under key ${key.id}`);
  }
  const salt = object.subarray(MAGIC.length + KEY_ID_BYTES, HEAD_BYTES - COMMITMENT_BYTES);
  const subkey = deriveSubkey(key, salt, 'record');
  assertCommitment(name, subkey, object.subarray(HEAD_BYTES - COMMITMENT_BYTES, HEAD_BYTES));
  return open(name, subkey.key, counterNonce(0), boundTo(key, name), object.subarray(HEAD_BYTES));
}

const boundTo = ({ repository }: DataKey, name: string): Uint8Array =>
  Buffer.concat([repository, new TextEncoder().encode(name)]);
