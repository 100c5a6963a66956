import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { FafnirError } from '../core/errors.ts';

const HASHED_AT_ONCE = 4 * 1024 ** 2;

/** Bytes of all parts together. */
export function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((size, part) => size + part.length, 0);
}

/** The MD5 of a body, made with pauses in which the host gets on and an abort is heard. */
export async function md5Of(parts: readonly Uint8Array[], signal: AbortSignal): Promise<Buffer> {
  const hash = createHash('md5');
  let unpaused = 0;
  for (const part of parts) {
    for (let offset = 0; offset < part.length; offset += HASHED_AT_ONCE) {
      const piece = part.subarray(offset, offset + HASHED_AT_ONCE);
      hash.update(piece);
      unpaused += piece.length;
      if (unpaused < HASHED_AT_ONCE) continue;
      unpaused = 0;
      await setImmediate();
      signal.throwIfAborted();
    }
  }
  return hash.digest();
}

/** The bytes of an answer, in memory of their own; anything but `length` bytes is refused. */
export async function readExactly(
  body: AsyncIterable<Uint8Array>,
  length: number,
  key: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  for await (const chunk of body) {
    if (done + chunk.length > length) {
      throw new FafnirError('WRONG_ANSWER', `${key} came with more than the ${length} bytes announced`);
    }
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done === length) return bytes;
  throw new FafnirError('UNAVAILABLE', `${key} was cut to ${done} of ${length} bytes on its way`);
}
