import { FafnirError } from '../../errors.ts';
import { CHUNK_ID_BYTES } from '../pack.ts';

/** Bytes of a volume in one chunk, unless its archive says otherwise. */
export const CHUNK_SIZE: number = 1024 * 1024;
/** Chunks in one page of a manifest. */
export const PAGE_CHUNKS = 4_096;

const SMALLEST_CHUNK = 256 * 1024;
const LARGEST_CHUNK = 4 * 1024 * 1024;

/** How a volume is cut. */
export interface Geometry {
  /** Bytes of the volume. */
  readonly size: number;
  /** Bytes of each chunk but the last, which may be shorter. */
  readonly chunkSize: number;
}

/** Whether the format has chunks of this size. */
export const isChunkSize = (bytes: number): boolean =>
  bytes >= SMALLEST_CHUNK && bytes <= LARGEST_CHUNK && Number.isInteger(Math.log2(bytes));

/** Rejects with `INVALID_OPTIONS` what is no size of chunks. */
export function assertChunkSize(bytes: number): void {
  if (isChunkSize(bytes)) return;
  throw new FafnirError(
    'INVALID_OPTIONS',
    `a chunk size is a power of two from ${SMALLEST_CHUNK} to ${LARGEST_CHUNK} bytes, not ${bytes}`,
  );
}

/** How many chunks a volume has. */
export const chunkCount = ({ size, chunkSize }: Geometry): number => Math.ceil(size / chunkSize);

/** How many bytes the chunk at this position has. */
export const chunkLength = ({ size, chunkSize }: Geometry, position: number): number =>
  Math.min(chunkSize, size - position * chunkSize);

/** How many pages a volume has. */
export const pageCount = (geometry: Geometry): number => Math.ceil(chunkCount(geometry) / PAGE_CHUNKS);

/** How many chunks the page at this position has. */
export const chunksOnPage = (geometry: Geometry, page: number): number =>
  Math.min(PAGE_CHUNKS, chunkCount(geometry) - page * PAGE_CHUNKS);

const ZEROS = Buffer.alloc(LARGEST_CHUNK);

/** Whether these bytes, of one chunk at most, are all zeros. */
export const isZero = (bytes: Uint8Array): boolean =>
  Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) === 0;

/** The id of a chunk that is all zeros. */
export const ZERO_ID: Uint8Array = new Uint8Array(CHUNK_ID_BYTES);
