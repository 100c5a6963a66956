import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import * as z from 'zod';
import { inlineThreads } from '../archive/threads/inline.ts';
import { ThreadPool } from '../archive/threads/pool.ts';
import type { Threads } from '../archive/threads/threads.ts';
import type { ArchiveRequest } from '../archive/volume/write-archive.ts';
import { isChunkSize } from '../archive/volume/geometry.ts';
import type { VolumeRef } from '../contracts/index.ts';
import { strictOptions } from '../options.ts';

const MOST_WORKERS = 4;
const SMALLEST_PACK = 8 * 1024 * 1024;
const LARGEST_PACK = 64 * 1024 * 1024;

/** What an engine may spend on archives, and how it writes them. */
export interface ArchiveOptions {
  /**
   * Threads for all archives of the engine, started when there is work; 0 does it on the host's own thread, a chunk at a
   * time. Default: as many as there are processors, at most 4.
   */
  readonly workers?: number;
  /**
   * Volumes of one checkpoint that the engine archives at once. The others are left to engines on the same store, or wait.
   * Default 2.
   */
  readonly volumes?: number;
  /** Starts a thread that runs the module `fafnir/worker`; for hosts whose bundler puts it elsewhere. */
  readonly createWorker?: () => Worker;
  /**
   * Bytes of a chunk, or what tells them for a volume: a power of two from 262,144 to 4,194,304. Small ones suit volumes
   * with small changes all over, large ones cold data. Default 1,048,576. A volume for which it changes is archived in
   * full once.
   */
  readonly chunkSize?: number | ((volume: VolumeRef) => number);
  /** Bytes of a pack at most: an object in the bank. 8 to 64 MiB; default 16 MiB. */
  readonly packBytes?: number;
  /** Chunks that an archive looks for among those it knows, at 40 bytes each. Default 1,048,576. */
  readonly knownChunks?: number;
}

/** Says what is wrong with archive options. */
export const archiveOptionsSchema: z.ZodType<ArchiveOptions> = strictOptions({
  workers: z.int().min(0).max(64).exactOptional(),
  volumes: z.int().min(1).max(64).exactOptional(),
  createWorker: z
    .custom<() => Worker>((value) => typeof value === 'function', 'must be a function')
    .exactOptional(),
  chunkSize: z
    .union([
      z.number().refine(isChunkSize, 'must be a power of two from 262144 to 4194304'),
      z.custom<(volume: VolumeRef) => number>((value) => typeof value === 'function', 'must be a function'),
    ])
    .exactOptional(),
  packBytes: z.int().min(SMALLEST_PACK).max(LARGEST_PACK).exactOptional(),
  knownChunks: z
    .int()
    .min(1_024)
    .max(2 ** 26)
    .exactOptional(),
});

/** What all archives of an engine share. */
export class Archiving {
  /** Do the work on bytes. */
  readonly threads: Threads;
  /** How many volumes of a checkpoint are archived at once. */
  readonly volumes: number;
  readonly #options: ArchiveOptions;

  constructor(options: ArchiveOptions) {
    const { workers = Math.min(availableParallelism(), MOST_WORKERS), createWorker } = options;
    this.#options = options;
    this.volumes = options.volumes ?? 2;
    this.threads =
      workers === 0 ? inlineThreads() : new ThreadPool({ workers, ...(createWorker && { createWorker }) });
  }

  /** How a volume is archived. */
  requestFor(volume: VolumeRef): Pick<ArchiveRequest, 'threads' | 'chunkSize' | 'packBytes' | 'knownChunks'> {
    const { chunkSize, packBytes, knownChunks } = this.#options;
    const bytes = typeof chunkSize === 'function' ? chunkSize(volume) : chunkSize;
    return {
      threads: this.threads,
      ...(bytes !== undefined && { chunkSize: bytes }),
      ...(packBytes !== undefined && { packBytes }),
      ...(knownChunks !== undefined && { knownChunks }),
    };
  }
}
