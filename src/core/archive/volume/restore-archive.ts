import type { CallOptions, CopyCall, Extent, VolumeTarget } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import type { ChunkFetcher, FetchedChunk } from './chunk-fetcher.ts';
import { compareVolume } from './compare-volume.ts';
import { chunkCount, chunkLength, type Geometry } from './geometry.ts';
import type { IdReader } from './id-reader.ts';
import { release } from '../release.ts';
import { eachInLanes } from './lanes.ts';
import { GROUP_BYTES, idAt, isZeroId } from './read-plan.ts';

/** Chunks that are dealt with at once, whose ids are in memory: 2 MiB. Packs are read once in each such window. */
export const WINDOW_CHUNKS: number = 2 ** 16;

/** What is restored. */
export interface ArchiveParts {
  /** How the volume is cut. */
  readonly geometry: Geometry;
  /** What ids are made with. */
  readonly idKey: Uint8Array;
  /** Tells which chunks there are. */
  readonly ids: IdReader;
  /** Reads them. */
  readonly fetcher: ChunkFetcher;
}

/** Chunks in a row in a volume. */
export interface Window {
  /** The position of the first. */
  readonly first: number;
  /** How many. */
  readonly count: number;
}

/** A volume's chunks in windows. */
export function* windowsOf(geometry: Geometry): Generator<Window> {
  const all = chunkCount(geometry);
  for (let first = 0; first < all; first += WINDOW_CHUNKS) {
    yield { first, count: Math.min(WINDOW_CHUNKS, all - first) };
  }
}

/**
 * Makes a target hold exactly what an archive holds, then reads the target back and compares. Resolves with the bytes
 * written; `NOT_PROVEN` where the target does not hold them.
 */
export async function restoreArchive(
  parts: ArchiveParts,
  target: VolumeTarget,
  call: CopyCall,
): Promise<number> {
  const { geometry, fetcher, ids } = parts;
  if (target.size !== geometry.size) {
    throw new FafnirError(
      'UNSUPPORTED',
      `an archive of ${geometry.size} bytes into a volume of ${target.size}`,
    );
  }
  const restore = new Restore(parts, target);
  await target.clear?.(call);
  // Writing ends it.
  const { blank } = target;
  for (const window of windowsOf(geometry)) {
    const wanted = await ids.read(window.first, window.count, call);
    const which = blank
      ? restore.allButZeros(window, wanted, call)
      : await restore.whatDiffers(window, wanted, call);
    await fetcher.fetch(
      { ids: wanted, which, lengthOf: (number) => chunkLength(geometry, window.first + number) },
      (chunks, signal) => restore.write(window, chunks, { ...call, signal }),
      call,
    );
  }
  await target.flush(call);
  await compareTarget(parts, target, { ...call, progress: () => undefined });
  return restore.written;
}

/** Reads a target and compares it with an archive: `NOT_PROVEN`, naming the byte, where they differ. */
export async function compareTarget(
  parts: ArchiveParts,
  target: VolumeTarget,
  call: CopyCall,
): Promise<void> {
  const volume = {
    size: target.size,
    extents: (inner: CallOptions) => target.extents?.(inner) ?? unknownExtents(target.size),
    readInto: (offset: number, into: Uint8Array, inner: CallOptions) => target.readInto(offset, into, inner),
  };
  await compareVolume(parts, { what: 'the restored volume', volume }, call);
}

async function* unknownExtents(size: number): AsyncGenerator<Extent> {
  if (size > 0) yield { offset: 0, length: size, kind: 'data' };
}

const NOTHING = { raw: new Uint8Array() };

class Restore {
  written = 0;
  readonly #parts: ArchiveParts;
  readonly #target: VolumeTarget;
  readonly #buffers: ArrayBuffer[] = [];

  constructor(parts: ArchiveParts, target: VolumeTarget) {
    this.#parts = parts;
    this.#target = target;
  }

  /** What a target that reads as zeros lacks. */
  allButZeros({ first, count }: Window, wanted: Uint8Array, call: CopyCall): number[] {
    const which: number[] = [];
    let zeros = 0;
    for (let number = 0; number < count; number += 1) {
      if (isZeroId(wanted, number)) zeros += this.#lengthOf(first + number);
      else which.push(number);
    }
    if (zeros > 0) call.progress(zeros);
    return which;
  }

  /** What a target has otherwise; what is to be zeros is made so. */
  async whatDiffers(window: Window, wanted: Uint8Array, call: CopyCall): Promise<number[]> {
    const which: number[] = [];
    const zeros: number[] = [];
    await this.#identify(window, call, (number, id) => {
      const isRight = Buffer.compare(id, idAt(wanted, number)) === 0;
      if (isRight) call.progress(this.#lengthOf(window.first + number));
      else if (isZeroId(wanted, number)) zeros.push(number);
      else which.push(number);
    });
    await eachInLanes(
      () => runsOf(zeros.sort((a, b) => a - b)),
      { concurrency: this.#parts.fetcher.groupsAtOnce, signal: call.signal },
      async ({ first, count }, signal) => {
        const [offset, length] = this.#rangeOf({ first: window.first + first, count });
        await this.#use(signal, () => this.#target.zero(offset, length, { signal }));
        call.progress(length);
      },
    );
    return which;
  }

  /** Writes chunks wherever they belong; those in a row at once. */
  async write({ first }: Window, chunks: readonly FetchedChunk[], call: CopyCall): Promise<void> {
    for (const { number, bytes } of writesOf(chunks)) {
      const offset = (first + number) * this.#parts.geometry.chunkSize;
      await this.#use(call.signal, () => this.#target.write(offset, bytes, call));
      this.written += bytes.length;
      call.progress(bytes.length);
    }
    const [{ raw } = NOTHING] = chunks;
    // All of them lie in it.
    release(new Uint8Array(raw.buffer));
  }

  async #identify(
    { first, count }: Window,
    { signal }: CallOptions,
    visit: (number: number, id: Uint8Array) => void,
  ): Promise<void> {
    const { fetcher, geometry, idKey } = this.#parts;
    const { chunkSize } = geometry;
    const atOnce = GROUP_BYTES / chunkSize;
    await eachInLanes(
      function* () {
        for (let at = 0; at < count; at += atOnce) yield { first: at, count: Math.min(atOnce, count - at) };
      },
      { concurrency: fetcher.groupsAtOnce, signal },
      async (group, signal) => {
        const [offset, length] = this.#rangeOf({ first: first + group.first, count: group.count });
        const buffer = this.#buffers.pop() ?? new ArrayBuffer(GROUP_BYTES);
        const into = new Uint8Array(buffer, 0, length);
        await this.#use(signal, () => this.#target.readInto(offset, into, { signal }));
        const found = await fetcher.threads.run('identify', { idKey, buffer, length, chunkSize }, [buffer]);
        this.#buffers.push(found.buffer);
        for (let at = 0; at < group.count; at += 1) visit(group.first + at, idAt(found.ids, at));
      },
    );
  }

  #use<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    return this.#parts.fetcher.permits.use(signal, work);
  }

  #rangeOf({ first, count }: Window): [offset: number, length: number] {
    const { size, chunkSize } = this.#parts.geometry;
    const offset = first * chunkSize;
    return [offset, Math.min(size, offset + count * chunkSize) - offset];
  }

  #lengthOf(position: number): number {
    return chunkLength(this.#parts.geometry, position);
  }
}

function* runsOf(numbers: readonly number[]): Generator<Window> {
  let run: { first: number; count: number } | undefined;
  for (const number of numbers) {
    if (run !== undefined && run.first + run.count === number) {
      run.count += 1;
      continue;
    }
    if (run !== undefined) yield run;
    run = { first: number, count: 1 };
  }
  if (run !== undefined) yield run;
}

interface Write {
  readonly number: number;
  readonly bytes: Uint8Array;
}

function* writesOf(chunks: readonly FetchedChunk[]): Generator<Write> {
  let row: { number: number; count: number; bytes: Uint8Array } | undefined;
  for (const { raw, numbers } of chunks) {
    for (const number of numbers) {
      const follows =
        row !== undefined &&
        row.number + row.count === number &&
        row.bytes.buffer === raw.buffer &&
        row.bytes.byteOffset + row.bytes.length === raw.byteOffset;
      if (row !== undefined && follows) {
        const length = row.bytes.length + raw.length;
        row = {
          ...row,
          count: row.count + 1,
          bytes: new Uint8Array(raw.buffer, row.bytes.byteOffset, length),
        };
        continue;
      }
      if (row !== undefined) yield row;
      row = { number, count: 1, bytes: raw };
    }
  }
  if (row !== undefined) yield row;
}
