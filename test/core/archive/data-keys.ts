import { randomBytes } from 'node:crypto';
import { type DataKey, keyIdOf } from '../../../src/core/archive/sealing.ts';

/** A data key of its own repository. */
export function newDataKey(repository: Uint8Array = randomBytes(16)): DataKey {
  const secret = randomBytes(32);
  return { id: keyIdOf(secret), secret, repository };
}

/** The bytes with one bit changed. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}
