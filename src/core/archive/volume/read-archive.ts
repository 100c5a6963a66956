import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../../clock.ts';
import type {
  CallOptions,
  Clock,
  CopyCall,
  Extent,
  SequentialSource,
  VolumeSource,
  VolumeTarget,
} from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { isDamage } from '../records.ts';
import { deriveIdKey } from '../sealing.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import type { ArchiveBase } from './archive-pass.ts';
import { ChunkCache } from './chunk-cache.ts';
import { ChunkFetcher } from './chunk-fetcher.ts';
import { chunkLength } from './geometry.ts';
import { compareVolume } from './compare-volume.ts';
import { IdReader } from './id-reader.ts';
import { fetchedAhead } from './lanes.ts';
import { ChunkLocations } from './locations.ts';
import { getManifest, type ManifestReference, type StoredManifest } from './manifest.ts';
import { idAt, isZeroId } from './read-plan.ts';
import { compareTarget, restoreArchive, windowsOf } from './restore-archive.ts';
import { streamed } from './streamed-source.ts';
import { type Verified, type VerifyOptions, type VerifyParts, verifyArchive } from './verify-archive.ts';

const CACHE_BYTES = 32 * 1024 * 1024;
const STREAM_BYTES = 8 * 1024 * 1024;
const SPANS_AHEAD = 1;
// So many are dealt with before the host's other work has its turn.
const CHUNKS_AT_A_TIME = 8_192;

/** How an archive is read. */
export interface ReaderOptions {
  /** Does the work on bytes. */
  readonly threads: Threads;
  /** Bytes of chunks and pages to keep for reads at random; 32 MiB unless given. */
  readonly memory?: number;
  /** Dates what is found of packs. */
  readonly clock?: Pick<Clock, 'now'>;
}

/**
 * An archive of a volume, open for reading. Beside what is configured it holds about 70 bytes for each chunk that its
 * indexes tell of. Work under way holds at most three reads of 24 MiB, and for each thread two groups of chunks of 4 MiB
 * with what they are made from; a restore also the ids of 65,536 chunks.
 */
export class ArchiveReader implements VolumeSource, ArchiveBase {
  readonly access = 'random';
  readonly size: number;
  readonly manifest: StoredManifest;
  readonly #parts: VerifyParts;
  readonly #cache: ChunkCache;

  private constructor(manifest: StoredManifest, parts: VerifyParts, cache: ChunkCache) {
    this.manifest = manifest;
    this.#parts = parts;
    this.#cache = cache;
    this.size = manifest.size;
  }

  /** Opens an archive; `NOT_FOUND` where there is none, `CORRUPT` where it is not what was stored. */
  static async open(
    vault: Vault,
    reference: ManifestReference,
    { threads, memory = CACHE_BYTES, clock = systemClock }: ReaderOptions,
    call: CallOptions,
  ): Promise<ArchiveReader> {
    const manifest = await getManifest(vault, reference, call);
    const idKey = deriveIdKey(await vault.key(manifest.idKey, call));
    const locations = await ChunkLocations.load(vault, manifest.indexes, call);
    const fetcher = new ChunkFetcher({ vault, locations, idKey, threads });
    const cache = new ChunkCache(memory);
    const ids = new IdReader(manifest, fetcher, cache);
    const what = `archive ${manifest.token} in bank ${vault.bank.name}`;
    return new ArchiveReader(
      manifest,
      { vault, geometry: manifest, idKey, ids, fetcher, what, clock },
      cache,
    );
  }

  async *extents(call: CallOptions): AsyncGenerator<Extent> {
    const { geometry, ids } = this.#parts;
    let extent: Extent | undefined;
    for (const { first, count } of windowsOf(geometry)) {
      const found = await ids.read(first, count, call);
      for (let number = 0; number < count; number += 1) {
        if (number % CHUNKS_AT_A_TIME === CHUNKS_AT_A_TIME - 1) await setImmediate();
        const kind = isZeroId(found, number) ? 'zero' : 'data';
        const length = chunkLength(geometry, first + number);
        if (extent?.kind === kind) {
          extent = { ...extent, length: extent.length + length };
          continue;
        }
        if (extent !== undefined) yield extent;
        extent = { offset: (first + number) * geometry.chunkSize, length, kind };
      }
    }
    if (extent !== undefined) yield extent;
  }

  readInto(offset: number, into: Uint8Array, call: CallOptions): Promise<void> {
    return this.#read(offset, into, this.#cache, call);
  }

  async page(position: number, call: CallOptions): Promise<Uint8Array | undefined> {
    const { ids, fetcher } = this.#parts;
    const id = ids.pageIds(position, position + 1);
    const bytes = ids.pageBytes(position);
    if (isZeroId(id, 0)) return new Uint8Array(bytes);
    try {
      // Each is asked for once, so that none is kept.
      return await fetcher.read(id, bytes, call);
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }

  /** All bytes in order. */
  async *stream(call: CallOptions): AsyncGenerator<Uint8Array> {
    const read = async (
      { offset, length }: Pick<Extent, 'offset' | 'length'>,
      signal: AbortSignal,
    ): Promise<Uint8Array> => {
      const bytes = new Uint8Array(length);
      await this.#read(offset, bytes, undefined, { signal });
      return bytes;
    };
    yield* fetchedAhead(spansOf(this.size), { ahead: SPANS_AHEAD, signal: call.signal }, read);
  }

  /**
   * Makes the target hold exactly this archive, then reads the target back and compares. A target that is not blank is
   * read first, and only what differs is written. Resolves with the bytes written; rejects with `NOT_PROVEN` where the
   * target does not hold them, and with `UNSUPPORTED` where it is of another size.
   */
  restoreInto(target: VolumeTarget, call: CopyCall): Promise<number> {
    return restoreArchive(this.#parts, target, call);
  }

  /** Reads a target that something else has filled; rejects with `NOT_PROVEN` where it does not hold this archive. */
  compareTarget(target: VolumeTarget, call: CopyCall): Promise<void> {
    return compareTarget(this.#parts, target, call);
  }

  /**
   * Reads what the archive was made of a second time, from a source that was opened against nothing, and compares: rejects
   * with `NOT_PROVEN` where they differ.
   */
  compare(source: VolumeSource | SequentialSource, call: CopyCall): Promise<void> {
    const volume = source.access === 'random' ? source : streamed(source, this.manifest.chunkSize);
    return compareVolume(this.#parts, { what: 'the source', volume }, call);
  }

  /** Reads the packs of the archive, or a sample of them, and checks them. */
  verify(options: VerifyOptions, call: CopyCall): Promise<Verified> {
    const { vault, idKey } = this.#parts;
    const { locations, threads } = this.#parts.fetcher;
    // Pages in memory, and what was found earlier, tell nothing of the bank.
    const fetcher = new ChunkFetcher({ vault, locations, idKey, threads });
    const ids = new IdReader(this.manifest, fetcher, new ChunkCache(0));
    return verifyArchive({ ...this.#parts, fetcher, ids }, options, call);
  }

  close(): Promise<void> {
    this.#cache.clear();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(
    offset: number,
    into: Uint8Array,
    cache: ChunkCache | undefined,
    call: CallOptions,
  ): Promise<void> {
    call.signal.throwIfAborted();
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + into.length > this.size) {
      throw new FafnirError('OUT_OF_RANGE', `bytes ${offset} to ${offset + into.length} of ${this.size}`);
    }
    if (into.length === 0) return;
    const { geometry, ids, fetcher } = this.#parts;
    const { chunkSize } = geometry;
    const first = Math.floor(offset / chunkSize);
    const count = Math.floor((offset + into.length - 1) / chunkSize) + 1 - first;
    const found = await ids.read(first, count, call);
    const put = (number: number, chunk: Uint8Array): void => {
      const start = (first + number) * chunkSize - offset;
      const from = Math.max(0, -start);
      into.set(chunk.subarray(from, Math.min(chunk.length, into.length - start)), start + from);
    };
    const missing: number[] = [];
    for (let number = 0; number < count; number += 1) {
      const start = (first + number) * chunkSize - offset;
      const cached = cache?.get(idAt(found, number));
      if (isZeroId(found, number)) into.fill(0, Math.max(0, start), start + chunkSize);
      else if (cached !== undefined) put(number, cached);
      else missing.push(number);
    }
    await fetcher.fetch(
      { ids: found, which: missing, lengthOf: (number) => chunkLength(geometry, first + number) },
      (chunks) => {
        for (const { raw, numbers } of chunks) {
          for (const number of numbers) {
            put(number, raw);
            cache?.add(idAt(found, number), raw);
          }
        }
      },
      call,
    );
  }
}

function* spansOf(size: number): Generator<Pick<Extent, 'offset' | 'length'>> {
  for (let offset = 0; offset < size; offset += STREAM_BYTES) {
    yield { offset, length: Math.min(STREAM_BYTES, size - offset) };
  }
}
