import { createHmac } from 'node:crypto';
import { CHUNK_ID_BYTES } from '../pack.ts';
import { isZero } from '../volume/geometry.ts';
import type { Done } from './tasks.ts';

/** Chunks, one after the other. Can be sent to a thread. */
export interface IdentifyInput {
  /** What ids are made with. */
  readonly idKey: Uint8Array;
  /** Begins with the chunks; changes hands. */
  readonly buffer: ArrayBuffer;
  /** Bytes of all of them. */
  readonly length: number;
  /** Bytes of each but the last, which may be shorter. */
  readonly chunkSize: number;
}

/** What chunks are called. */
export interface IdentifiedChunks {
  /** Their ids, one after the other; zeros for a chunk of zeros. */
  readonly ids: Uint8Array<ArrayBuffer>;
  /** The buffer, to be used again. */
  readonly buffer: ArrayBuffer;
}

/** Tells what chunks are called. */
export function identifyChunks({ idKey, buffer, length, chunkSize }: IdentifyInput): Done<IdentifiedChunks> {
  const ids = new Uint8Array(Math.ceil(length / chunkSize) * CHUNK_ID_BYTES);
  for (let at = 0; at * chunkSize < length; at += 1) {
    const offset = at * chunkSize;
    const bytes = new Uint8Array(buffer, offset, Math.min(chunkSize, length - offset));
    if (isZero(bytes)) continue;
    ids.set(createHmac('sha256', idKey).update(bytes).digest(), at * CHUNK_ID_BYTES);
  }
  return { output: { ids, buffer }, transfer: [ids.buffer, buffer] };
}
