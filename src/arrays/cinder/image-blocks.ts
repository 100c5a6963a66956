import type { Block, CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isZero, ZERO_GRAIN } from '../files/zeros.ts';
import { OVERLAY_HEAD, refuseOverlay } from './overlay.ts';

/**
 * Pieces of any length as the blocks of a volume of this size, of which those that are zeros are told as such. Too few
 * bytes, or too many, are `UNAVAILABLE`, and an overlay in place of a volume is refused.
 */
export async function* blocksOf(
  what: string,
  size: number,
  pieces: AsyncIterable<Uint8Array>,
  { signal }: CallOptions,
): AsyncGenerator<Block, void, undefined> {
  let offset = 0;
  for await (const grain of grainsOf(pieces)) {
    signal.throwIfAborted();
    if (offset === 0) refuseOverlay(what, grain.subarray(0, OVERLAY_HEAD));
    if (offset + grain.length > size)
      throw new FafnirError('UNAVAILABLE', `${what} has more than ${size} bytes`);
    if (isZero(grain)) yield { offset, length: grain.length, kind: 'zero' };
    else yield { offset, data: grain, kind: 'data' };
    offset += grain.length;
  }
  if (offset < size) throw new FafnirError('UNAVAILABLE', `${what} ended after ${offset} of ${size} bytes`);
}

/** The same bytes in pieces of {@link ZERO_GRAIN}, the last one perhaps shorter, each in memory of its own. */
async function* grainsOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let grain = new Uint8Array(ZERO_GRAIN);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + ZERO_GRAIN - filled);
      grain.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < ZERO_GRAIN) continue;
      yield grain;
      grain = new Uint8Array(ZERO_GRAIN);
      filled = 0;
    }
  }
  if (filled > 0) yield grain.subarray(0, filled);
}
