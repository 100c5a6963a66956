import { CHUNK_ID_BYTES } from '../pack.ts';
import type { ChunkLocation, ChunkLocations } from './locations.ts';

/** Bytes of chunks that a thread is given at once. */
export const GROUP_BYTES: number = 4 * 1024 * 1024;
/** Bytes that are asked of a bank at once: a whole pack of the usual size. */
export const LARGEST_READ: number = 24 * 1024 * 1024;
// Reading over what is not needed costs less than asking again.
const LARGEST_GAP = 1024 * 1024;
// Numbers of chunks in a request are smaller than this, so that one goes with a location into one sortable number.
const MOST_CHUNKS = 2 ** 20;

/** Chunks that are needed at once, fewer than 2^20. */
export interface WantedChunks {
  /** Ids, one after the other. */
  readonly ids: Uint8Array;
  /** Which of these are wanted. */
  readonly which: Iterable<number>;
  /** Bytes of the chunk of this number. */
  lengthOf(number: number): number;
}

/** A chunk to be read. */
export interface PlannedChunk extends ChunkLocation {
  /** Its id. */
  readonly id: Uint8Array;
  /** All its numbers among those that are wanted. */
  readonly numbers: readonly number[];
}

/** What is asked of a bank at once: a part of one pack. */
export interface PlannedRead {
  /** The number of the pack. */
  readonly pack: number;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Its chunks, in groups for one thread each. */
  readonly groups: readonly (readonly PlannedChunk[])[];
}

/** Chunks by where they are, in order of location: native sorting, as comparing them in JavaScript takes the host's time. */
export class ReadPlan {
  readonly #locations: ChunkLocations;
  readonly #ids: Uint8Array;
  readonly #order: number[] = [];

  constructor(locations: ChunkLocations, ids: Uint8Array) {
    this.#locations = locations;
    this.#ids = ids;
  }

  /** Adds a chunk and where it is to be read. */
  add(number: number, location: number): void {
    this.#order.push(location * MOST_CHUNKS + number);
  }

  /** What to read, pack by pack; each pack once, but where much of it is not needed or it is very large. */
  *reads(): Generator<PlannedRead> {
    let read: PlannedChunk[] = [];
    for (const chunk of this.#chunks()) {
      const [first, last] = [read[0], read.at(-1)];
      const fits =
        first !== undefined &&
        last !== undefined &&
        chunk.pack === first.pack &&
        chunk.offset - endOf(last) <= LARGEST_GAP &&
        endOf(chunk) - first.offset <= LARGEST_READ;
      if (!fits && read.length > 0) {
        yield planned(read);
        read = [];
      }
      read.push(chunk);
    }
    if (read.length > 0) yield planned(read);
  }

  *#chunks(): Generator<PlannedChunk> {
    const order = Float64Array.from(this.#order).sort();
    for (let at = 0; at < order.length; ) {
      const location = Math.floor((order[at] ?? 0) / MOST_CHUNKS);
      const numbers: number[] = [];
      for (; at < order.length && Math.floor((order[at] ?? 0) / MOST_CHUNKS) === location; at += 1) {
        numbers.push((order[at] ?? 0) % MOST_CHUNKS);
      }
      const [number = 0] = numbers;
      const id = idAt(this.#ids, number);
      yield { ...this.#locations.at(location), id, numbers };
    }
  }
}

/** One id of many. */
export const idAt = (ids: Uint8Array, number: number): Uint8Array =>
  ids.subarray(number * CHUNK_ID_BYTES, (number + 1) * CHUNK_ID_BYTES);

/** Whether one id of many is that of a chunk of zeros. In a loop, for it is asked of every chunk of a volume. */
export function isZeroId(ids: Uint8Array, number: number): boolean {
  const end = (number + 1) * CHUNK_ID_BYTES;
  for (let at = number * CHUNK_ID_BYTES; at < end; at += 1) if (ids[at] !== 0) return false;
  return true;
}

/** Chunks in groups that a thread is given at once. */
export function groupsOf<Chunk extends Pick<ChunkLocation, 'rawBytes'>>(
  chunks: Iterable<Chunk>,
): readonly (readonly Chunk[])[] {
  const groups: Chunk[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const chunk of chunks) {
    if (bytes + chunk.rawBytes > GROUP_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(chunk);
    bytes += chunk.rawBytes;
  }
  return groups;
}

const endOf = ({ offset, storedBytes }: ChunkLocation): number => offset + storedBytes;

function planned(chunks: readonly PlannedChunk[]): PlannedRead {
  const [first, last] = [chunks[0], chunks.at(-1)];
  const offset = first?.offset ?? 0;
  const end = last === undefined ? offset : endOf(last);
  return { pack: first?.pack ?? 0, offset, length: end - offset, groups: groupsOf(chunks) };
}
