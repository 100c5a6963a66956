import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { FafnirError } from '../errors.ts';
import { release } from './release.ts';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;

/** Bytes that sealing adds. */
export const TAG_BYTES = 16;
/** Bytes of a commitment. */
export const COMMITMENT_BYTES = 32;
/** Bytes of a nonce. */
export const NONCE_BYTES = 12;

/** A secret of one tenant that everything in the bank is sealed under, by keys derived from it. */
export interface DataKey {
  /** Names the key: 16 hexadecimal digits that follow from the secret. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /** Names the repository that objects under this key belong to, wherever they are copied: 16 bytes. */
  readonly repository: Uint8Array;
}

/** A key that was derived for one object. */
export interface Subkey {
  /** For the cipher. */
  readonly key: Uint8Array;
  /**
   * Stored with what is sealed and compared before it is opened: a ciphertext that can be opened under two keys is so
   * refused under the wrong one.
   */
  readonly commitment: Uint8Array;
}

/** The key for one object: no two objects have the same salt. */
export function deriveSubkey({ secret }: DataKey, salt: Uint8Array, purpose: 'record' | 'pack'): Subkey {
  const bytes = new Uint8Array(
    hkdfSync('sha256', secret, salt, `fafnir/1/${purpose}`, KEY_BYTES + COMMITMENT_BYTES),
  );
  return { key: bytes.subarray(0, KEY_BYTES), commitment: bytes.subarray(KEY_BYTES) };
}

/** The key that chunk ids are made with. */
export const deriveIdKey = ({ secret }: Pick<DataKey, 'secret'>): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), 'fafnir/1/chunk-id', KEY_BYTES));

/** What a secret is called. */
export const keyIdOf = (secret: Uint8Array): string =>
  createHmac('sha256', secret).update('fafnir/1/key-id').digest('hex').slice(0, 16);

/** Seals bytes; the tag is at the end. A nonce is used once under a key. */
export function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const sealed = new Uint8Array(plain.length + TAG_BYTES);
  sealInto(sealed, key, nonce, associated, plain);
  return sealed;
}

/** Seals bytes at the start of others; returns how many they have become. */
export function sealInto(
  into: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  plain: Uint8Array,
): number {
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(associated);
  const sealed = cipher.update(plain);
  into.set(sealed);
  release(sealed);
  // A stream cipher keeps nothing back.
  cipher.final();
  into.set(cipher.getAuthTag(), plain.length);
  return plain.length + TAG_BYTES;
}

/** Opens what was sealed; `CORRUPT` naming `what` where it is not just that. */
export function open(
  what: string,
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  if (sealed.length < TAG_BYTES) throw new FafnirError('CORRUPT', `${what} is too short`);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    throw new FafnirError('CORRUPT', `${what} is not as it was sealed`, { cause });
  }
  return plain;
}

/** Rejects with `CORRUPT` unless the stored commitment is the key's. */
export function assertCommitment(what: string, { commitment }: Subkey, stored: Uint8Array): void {
  if (stored.length === commitment.length && timingSafeEqual(stored, commitment)) return;
  throw new FafnirError('CORRUPT', `${what} was not sealed under its key`);
}

/** A nonce from a counter. */
export function counterNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setUint32(0, counter, true);
  return nonce;
}
