import type { CallOptions, CopyCall, VolumeSource } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { currentMeter } from '../../meter.ts';
import { CHUNK_ID_BYTES } from '../pack.ts';
import { PackBuilder } from '../pack-builder.ts';
import { release } from '../release.ts';
import { deriveIdKey } from '../sealing.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { type ChunkRun, chunkRuns } from './chunk-runs.ts';
import { chunkCount, chunkLength, chunksOnPage, type Geometry, PAGE_CHUNKS } from './geometry.ts';
import { listIndexes } from './index-store.ts';
import { KnownChunks } from './known-chunks.ts';
import type { Manifest, StoredManifest } from './manifest.ts';
import { PackWriter } from './pack-writer.ts';
import { PageWriter } from './page-writer.ts';
import { SealingPipeline, STRIPE_BYTES } from './sealing-pipeline.ts';

/** An older archive of the volume, of the same size and chunk size. */
export interface ArchiveBase {
  /** What it names. */
  readonly manifest: StoredManifest;
  /** The ids on a page, in memory of their own; undefined where it is lost. */
  readonly page: (position: number, call: CallOptions) => Promise<Uint8Array | undefined>;
  /** Fills `into` with its bytes from `offset` on. */
  readonly readInto: VolumeSource['readInto'];
}

/** What a pass is made of. */
export interface PassOptions {
  /** Where the archive goes. */
  readonly vault: Vault;
  /** Names the archive. */
  readonly token: string;
  /** The bytes. */
  readonly source: VolumeSource;
  /** Do the work. */
  readonly threads: Threads;
  /** What the source's `same` speaks of. */
  readonly base: ArchiveBase | undefined;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Bytes of a pack at most. */
  readonly packBytes: number;
  /** Chunks to remember at most. */
  readonly knownChunks: number;
  /** Packs that are not to be relied on. */
  readonly without: ReadonlySet<string>;
}

/** What a pass comes to. */
export interface PassResult {
  /** Not stored yet. */
  readonly manifest: Manifest;
  /** Bytes of each pack of older archives that it needs, by name. */
  readonly reliedOn: ReadonlyMap<string, number>;
}

type Run = Pick<ChunkRun, 'page' | 'at' | 'count'>;

/** Goes through a volume once; afterwards everything that the archive needs is in the bank, but for its manifest. */
export async function archivePass(options: PassOptions, call: CopyCall): Promise<PassResult> {
  const { vault, token, source, base, chunkSize, without } = options;
  const geometry = { size: source.size, chunkSize };
  const chunks = chunkCount(geometry);
  // Room that a small volume cannot fill would have to be made and removed for nothing.
  const packBytes = Math.min(options.packBytes, PackBuilder.bytesFor(chunks, chunks * chunkSize));
  const key = await vault.sealingKey(call);
  const namingKey = base === undefined ? await vault.idKey(call) : await vault.key(base.manifest.idKey, call);
  const idKey = deriveIdKey(namingKey);
  // A first archive reads the whole volume anyway, and looks for its chunks everywhere; others do not.
  const indexes =
    base === undefined ? listIndexes(vault, undefined, call) : indexesFor(vault, token, base, call);
  const known = await KnownChunks.load(
    vault,
    { indexes, without, capacity: options.knownChunks, allPacks: base !== undefined },
    call,
  );
  const packs = new PackWriter(vault, token);
  using pipeline = new SealingPipeline(
    options.threads,
    { key, idKey, known: known.table.shared, packBytes },
    source,
    packs,
    call,
  );
  const inner = { ...call, signal: pipeline.signal };
  const pages = new PageWriter({ geometry, key, idKey, packBytes, known, packs });
  const reading = new Reading(options, geometry, known, pages, pipeline);
  try {
    await reading.run(inner);
    await pipeline.finish();
    await pages.finish(inner);
    await packs.finish(inner);
  } catch (error) {
    pipeline.fail(error);
    await pipeline.settle();
    throw pipeline.signal.reason;
  }
  if (base !== undefined) known.relyOnAll();
  const named = new Set([...packs.indexes, ...known.indexes]);
  const manifest = { ...geometry, idKey: namingKey.id, pages: pages.ids, indexes: [...named] };
  return { manifest, reliedOn: known.reliedOn };
}

/** What an archive that was begun under this token has told, and what its base has. */
async function* indexesFor(
  vault: Vault,
  token: string,
  base: ArchiveBase,
  call: CallOptions,
): AsyncGenerator<string> {
  yield* listIndexes(vault, token, call);
  yield* base.manifest.indexes;
}

/** Reads what must be read, and takes the rest from the base. */
class Reading {
  readonly #options: PassOptions;
  readonly #geometry: Geometry;
  readonly #known: KnownChunks;
  readonly #pages: PageWriter;
  readonly #pipeline: SealingPipeline;
  // Runs of the next stripe, and how many chunks it has.
  #runs: Run[] = [];
  #chunks = 0;
  // The last page of the base that was looked at.
  #basePage: { readonly position: number; readonly ids: Uint8Array | undefined } | undefined;

  constructor(
    options: PassOptions,
    geometry: Geometry,
    known: KnownChunks,
    pages: PageWriter,
    pipeline: SealingPipeline,
  ) {
    this.#options = options;
    this.#geometry = geometry;
    this.#known = known;
    this.#pages = pages;
    this.#pipeline = pipeline;
  }

  async run(call: CopyCall): Promise<void> {
    const { source, chunkSize } = this.#options;
    for await (const run of chunkRuns(source, chunkSize, call)) {
      call.signal.throwIfAborted();
      if (run.kind === 'zero') {
        await this.#pages.putZeros(run, call);
        call.progress(this.#bytesOf(run));
      } else if (run.kind === 'same') {
        await this.#inherit(run, call);
      } else {
        await this.#read(run, call);
      }
    }
    await this.#begin(call);
  }

  async #inherit(run: ChunkRun, call: CopyCall): Promise<void> {
    const { base } = this.#options;
    if (base === undefined) {
      throw new FafnirError('WRONG_ANSWER', 'the source calls bytes unchanged that no older archive has');
    }
    const { page, at, count } = run;
    // Nothing on it changed, and nothing of it is lost: then nobody needs to look at it.
    if (count === chunksOnPage(this.#geometry, page) && !this.#known.hasLost) {
      this.#pages.inherit(page, base.manifest.pages[page] ?? '');
      call.progress(this.#bytesOf(run));
      return;
    }
    if (this.#basePage?.position !== page) {
      if (this.#basePage?.ids !== undefined) release(this.#basePage.ids);
      this.#basePage = { position: page, ids: await base.page(page, call) };
    }
    const { ids } = this.#basePage;
    if (ids === undefined) return this.#read(run, call);
    if (!this.#known.hasLost) return this.#take(run, ids, call);
    // Chunks in packs that are gone are read; the runs between them are taken over.
    let start = at;
    for (let chunk = at; chunk < at + count; chunk += 1) {
      if (!this.#known.isLost(ids.subarray(chunk * CHUNK_ID_BYTES, (chunk + 1) * CHUNK_ID_BYTES))) continue;
      await this.#take({ page, at: start, count: chunk - start }, ids, call);
      await this.#read({ page, at: chunk, count: 1 }, call);
      start = chunk + 1;
    }
    await this.#take({ page, at: start, count: at + count - start }, ids, call);
  }

  /** Takes a run over from the ids of its page. */
  async #take(run: Run, ids: Uint8Array, call: CopyCall): Promise<void> {
    if (run.count === 0) return;
    const start = run.at * CHUNK_ID_BYTES;
    await this.#pages.put(run, ids.subarray(start, start + run.count * CHUNK_ID_BYTES), call);
    call.progress(this.#bytesOf(run));
  }

  async #read({ page, at, count }: Run, call: CopyCall): Promise<void> {
    const most = STRIPE_BYTES / this.#geometry.chunkSize;
    for (let done = 0; done < count; ) {
      const chunks = Math.min(count - done, most - this.#chunks);
      this.#runs.push({ page, at: at + done, count: chunks });
      this.#chunks += chunks;
      done += chunks;
      if (this.#chunks === most) await this.#begin(call);
    }
  }

  async #begin(call: CopyCall): Promise<void> {
    const runs = this.#runs;
    if (runs.length === 0) return;
    this.#runs = [];
    this.#chunks = 0;
    const meter = currentMeter();
    if (meter !== undefined) for (const run of runs) meter.changed += this.#bytesOf(run);
    await this.#pipeline.begin({
      lengths: runs.flatMap((run) => this.#lengthsOf(run)),
      reads: runs.map((run) => ({ offset: this.#offsetOf(run), length: this.#bytesOf(run) })),
      onSealed: async ({ ids, numbers }) => {
        for (const number of numbers) this.#known.relyOn(number);
        let start = 0;
        for (const run of runs) {
          const end = start + run.count * CHUNK_ID_BYTES;
          await this.#pages.put(run, ids.subarray(start, end), call);
          call.progress(this.#bytesOf(run));
          start = end;
        }
      },
    });
  }

  #lengthsOf({ page, at, count }: Run): number[] {
    const first = page * PAGE_CHUNKS + at;
    return Array.from({ length: count }, (_, chunk) => chunkLength(this.#geometry, first + chunk));
  }

  #offsetOf({ page, at }: Run): number {
    return (page * PAGE_CHUNKS + at) * this.#geometry.chunkSize;
  }

  #bytesOf(run: Run): number {
    const offset = this.#offsetOf(run);
    return Math.min(run.count * this.#geometry.chunkSize, this.#geometry.size - offset);
  }
}
