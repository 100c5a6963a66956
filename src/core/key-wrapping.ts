import { createCipheriv, createDecipheriv, createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { FafnirError } from './errors.ts';

/** Bytes of a key-encryption key. */
export const KEY_BYTES = 32;

const LABEL = 'fafnir key-encryption key';
const ALGORITHM = 'aes-256-gcm';
/** Bytes. Random nonces are safe for 2^32 wraps under one key, which no installation comes near. */
const NONCE = 12;
const TAG = 16;
const LARGEST_KEY = 256;
/** Characters. */
const LONGEST_CONTEXT = 1_024;
const LONGEST_TEXT = Math.ceil((NONCE + LARGEST_KEY + TAG) / 3) * 4;

/** Rejects what is too small or too large to be wrapped. */
export function assertWrappable(key: Uint8Array): void {
  if (key.length >= 1 && key.length <= LARGEST_KEY) return;
  throw new FafnirError(
    'INVALID_OPTIONS',
    `keys of 1 to ${LARGEST_KEY} bytes are wrapped, not ${key.length}`,
  );
}

/** Rejects what is no context. */
export function assertContext(context: string): void {
  if (isContext(context)) return;
  throw new FafnirError(
    'INVALID_OPTIONS',
    `a context has 1 to ${LONGEST_CONTEXT} characters of well-formed text`,
  );
}

/** Encrypts a key, bound to its context: base64 of nonce, ciphertext and tag. */
export function seal(by: KeyObject, key: Uint8Array, context: string): string {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(ALGORITHM, by, nonce, { authTagLength: TAG });
  cipher.setAAD(Buffer.from(context));
  const sealed = [nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(sealed).toString('base64');
}

/** The key that was sealed so, in memory of its own; undefined where it was not. */
export function open(by: KeyObject, text: string, context: string): Uint8Array | undefined {
  const bytes = text.length <= LONGEST_TEXT ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  // One sealed key has one spelling, where Node would pass over what is no base64.
  const isSealed = bytes.length > NONCE + TAG && bytes.toString('base64') === text;
  if (!isSealed || !isContext(context)) return undefined;
  const decipher = createDecipheriv(ALGORITHM, by, bytes.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(-TAG));
  const plain = decipher.update(bytes.subarray(NONCE, -TAG));
  try {
    decipher.final();
    return Uint8Array.from(plain);
  } catch {
    return undefined;
  } finally {
    plain.fill(0);
  }
}

// Text that is not well-formed has no UTF-8 of its own: two such contexts would be bound as one.
function isContext(context: string): boolean {
  return context.length >= 1 && context.length <= LONGEST_CONTEXT && context.isWellFormed();
}

/** Says which key-encryption key it is and nothing about it: what it wraps names it so. */
export function fingerprint(key: Uint8Array): string {
  return createHmac('sha256', key).update(LABEL).digest('hex').slice(0, 32);
}
