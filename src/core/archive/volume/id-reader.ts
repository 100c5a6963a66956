import type { CallOptions } from '../../contracts/index.ts';
import { CHUNK_ID_BYTES } from '../pack.ts';
import type { ChunkCache } from './chunk-cache.ts';
import type { ChunkFetcher } from './chunk-fetcher.ts';
import { chunksOnPage, PAGE_CHUNKS } from './geometry.ts';
import type { Manifest } from './manifest.ts';
import { idAt, isZeroId } from './read-plan.ts';

/** Reads which chunks a volume consists of. */
export class IdReader {
  readonly #manifest: Manifest;
  readonly #fetcher: ChunkFetcher;
  readonly #cache: ChunkCache;

  constructor(manifest: Manifest, fetcher: ChunkFetcher, cache: ChunkCache) {
    this.#manifest = manifest;
    this.#fetcher = fetcher;
    this.#cache = cache;
  }

  /** The ids of so many chunks from a position on, one after the other. */
  async read(first: number, count: number, call: CallOptions): Promise<Uint8Array> {
    const wanted = new Uint8Array(count * CHUNK_ID_BYTES);
    if (count === 0) return wanted;
    const firstPage = Math.floor(first / PAGE_CHUNKS);
    const pages = this.pageIds(firstPage, Math.floor((first + count - 1) / PAGE_CHUNKS) + 1);
    const put = (page: number, ids: Uint8Array): void => {
      const offset = (firstPage + page) * PAGE_CHUNKS - first;
      const start = Math.max(0, -offset);
      const end = Math.min(ids.length / CHUNK_ID_BYTES, count - offset);
      wanted.set(
        ids.subarray(start * CHUNK_ID_BYTES, end * CHUNK_ID_BYTES),
        (offset + start) * CHUNK_ID_BYTES,
      );
    };
    const missing: number[] = [];
    for (let page = 0; page < pages.length / CHUNK_ID_BYTES; page += 1) {
      if (isZeroId(pages, page)) continue;
      const cached = this.#cache.get(idAt(pages, page));
      if (cached === undefined) missing.push(page);
      else put(page, cached);
    }
    if (missing.length === 0) return wanted;
    await this.#fetcher.fetch(
      { ids: pages, which: missing, lengthOf: (page) => this.pageBytes(firstPage + page) },
      (chunks) => {
        for (const { raw, numbers } of chunks) {
          for (const page of numbers) {
            put(page, raw);
            this.#cache.add(idAt(pages, page), raw);
          }
        }
      },
      call,
    );
    return wanted;
  }

  /** The ids of pages, one after the other. */
  pageIds(from: number, to: number): Uint8Array {
    return new Uint8Array(Buffer.from(this.#manifest.pages.slice(from, to).join(''), 'hex'));
  }

  /** Bytes of a page. */
  pageBytes(page: number): number {
    return chunksOnPage(this.#manifest, page) * CHUNK_ID_BYTES;
  }
}
