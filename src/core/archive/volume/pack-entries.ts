import { FafnirError } from '../../errors.ts';
import { COMPRESSED, ENTRY_BYTES, type PackHeader, TRAILER_BYTES } from '../pack.ts';
import { TAG_BYTES } from '../sealing.ts';

/** Chunks in one pack at most. */
export const MOST_CHUNKS_IN_PACK = 0xffff;

const LARGEST_CHUNK = 4 * 1024 * 1024;
// A compressor may add a little; what is larger is nothing that this reader would ask memory for.
const LARGEST_STORED = LARGEST_CHUNK + 64 * 1024;
const LARGEST_PACK = 2 ** 32 - 1;

/** Bytes of a pack with so many chunks, of so many bytes together. */
export const packSize = (count: number, storedBytes: number): number =>
  storedBytes + count * ENTRY_BYTES + TAG_BYTES + TRAILER_BYTES;

/**
 * Rejects with `CORRUPT` entries that nobody would write, before anyone reserves memory for what they say. Returns the
 * bytes of the chunks together.
 */
export function assertEntries(what: string, header: PackHeader): number {
  let stored = 0;
  for (const { rawBytes, storedBytes, flags } of header.chunks()) {
    const isStored = flags === 0 && storedBytes === rawBytes + TAG_BYTES;
    const isCompressed = flags === COMPRESSED && storedBytes > TAG_BYTES && storedBytes <= LARGEST_STORED;
    if (rawBytes === 0 || rawBytes > LARGEST_CHUNK || !(isStored || isCompressed)) {
      throw new FafnirError('CORRUPT', `${what} tells of a chunk that no pack can have`);
    }
    stored += storedBytes;
  }
  if (packSize(header.count, stored) <= LARGEST_PACK) return stored;
  throw new FafnirError('CORRUPT', `${what} tells of a pack that is too large`);
}
