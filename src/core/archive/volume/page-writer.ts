import { createHmac } from 'node:crypto';
import type { CallOptions } from '../../contracts/index.ts';
import { CHUNK_ID_BYTES } from '../pack.ts';
import { PackBuilder } from '../pack-builder.ts';
import { release } from '../release.ts';
import type { DataKey } from '../sealing.ts';
import type { ChunkRun } from './chunk-runs.ts';
import { chunksOnPage, type Geometry, isZero, pageCount, ZERO_ID } from './geometry.ts';
import type { KnownChunks } from './known-chunks.ts';
import type { PackWriter } from './pack-writer.ts';

/** What a page writer is made of. */
export interface PageWriterParts {
  /** How the volume is cut. */
  readonly geometry: Geometry;
  /** What packs are sealed under. */
  readonly key: DataKey;
  /** What ids are made with. */
  readonly idKey: Uint8Array;
  /** Bytes of a pack at most. */
  readonly packBytes: number;
  /** Pages that need not be stored. */
  readonly known: KnownChunks;
  /** Stores the packs of pages. */
  readonly packs: PackWriter;
}

type Run = Pick<ChunkRun, 'page' | 'at' | 'count'>;

interface OpenPage {
  /** Undefined as long as all are zero. */
  ids: Uint8Array | undefined;
  /** Chunks that are not known yet. */
  missing: number;
}

/**
 * Puts the ids of chunks, which come in any order, on pages, and stores the pages as chunks: in packs of their own, for a
 * reader needs all of them first. Holds only pages that lack something.
 */
export class PageWriter {
  readonly #parts: PageWriterParts;
  readonly #open = new Map<number, OpenPage>();
  readonly #ids: string[];
  #pack: PackBuilder | undefined;

  constructor(parts: PageWriterParts) {
    this.#parts = parts;
    this.#ids = Array.from({ length: pageCount(parts.geometry) }, () => toHex(ZERO_ID));
  }

  /** The ids of all pages, once everything was put. */
  get ids(): readonly string[] {
    return this.#ids;
  }

  /** Tells the ids of a run. */
  async put({ page, at, count }: Run, ids: Uint8Array, call: CallOptions): Promise<void> {
    const open = this.#page(page);
    if (!isZero(ids)) {
      open.ids ??= new Uint8Array(chunksOnPage(this.#parts.geometry, page) * CHUNK_ID_BYTES);
      open.ids.set(ids, at * CHUNK_ID_BYTES);
    }
    await this.#complete(page, open, count, call);
  }

  /** Tells that a run is zeros. */
  async putZeros({ page, count }: Run, call: CallOptions): Promise<void> {
    await this.#complete(page, this.#page(page), count, call);
  }

  /** Takes a whole page over. */
  inherit(page: number, id: string): void {
    this.#ids[page] = id;
  }

  /** Stores what is not stored yet. */
  async finish(call: CallOptions): Promise<void> {
    const pack = this.#pack?.finish();
    this.#pack = undefined;
    if (pack !== undefined) await this.#parts.packs.store(pack, call);
  }

  #page(page: number): OpenPage {
    const open = this.#open.get(page) ?? {
      ids: undefined,
      missing: chunksOnPage(this.#parts.geometry, page),
    };
    this.#open.set(page, open);
    return open;
  }

  async #complete(page: number, open: OpenPage, count: number, call: CallOptions): Promise<void> {
    open.missing -= count;
    if (open.missing > 0) return;
    this.#open.delete(page);
    if (open.ids === undefined) return;
    await this.#store(page, open.ids, call);
    release(open.ids);
  }

  async #store(page: number, ids: Uint8Array, call: CallOptions): Promise<void> {
    const { key, idKey, packBytes, known } = this.#parts;
    const id = createHmac('sha256', idKey).update(ids).digest();
    this.#ids[page] = toHex(id);
    const number = known.table.add(id);
    known.relyOn(number);
    if (number !== -1) return;
    // The full one is stored while others of its pages are added to the next.
    const full = this.#pack?.hasRoomFor(ids.length) === false ? this.#pack.finish() : undefined;
    if (full !== undefined) this.#pack = undefined;
    this.#pack ??= new PackBuilder(key, new ArrayBuffer(packBytes));
    this.#pack.add(id, ids);
    if (full !== undefined) await this.#parts.packs.store(full, call);
  }
}

const toHex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
