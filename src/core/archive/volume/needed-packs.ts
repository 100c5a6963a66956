import type { CallOptions } from '../../contracts/index.ts';
import { CHUNK_ID_BYTES } from '../pack.ts';
import { deriveIdKey } from '../sealing.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { ChunkFetcher } from './chunk-fetcher.ts';
import { chunkLength, chunksOnPage, isZero, PAGE_CHUNKS } from './geometry.ts';
import type { ChunkLocations } from './locations.ts';
import type { Manifest } from './manifest.ts';
import { idAt } from './read-plan.ts';

/** Where is looked for what archives need. */
export interface NeededFrom {
  /** Where the packs are. */
  readonly vault: Vault;
  /** What is in them. */
  readonly locations: ChunkLocations;
  /** Do the work on bytes. */
  readonly threads: Threads;
}

/**
 * The names of the packs that have the pages and chunks of archives: one for each, though several may have it. What is in
 * no pack is passed over. Rejects with `CORRUPT` or `NOT_FOUND` where a page cannot be read.
 */
export async function neededPacks(
  { vault, locations, threads }: NeededFrom,
  manifests: Iterable<Manifest> | AsyncIterable<Manifest>,
  call: CallOptions,
): Promise<ReadonlySet<string>> {
  const needed = new Set<string>();
  const seen = new Set<string>();
  for await (const manifest of manifests) {
    const idKey = deriveIdKey(await vault.key(manifest.idKey, call));
    const fetcher = new ChunkFetcher({ vault, locations, idKey, threads });
    const need = async (id: Uint8Array, length: number): Promise<void> => {
      const location = await fetcher.locate(id, length, call);
      if (location !== -1) needed.add(locations.packs[locations.packOf(location)]?.name ?? '');
    };
    for (const [position, page] of manifest.pages.entries()) {
      const pageId = Buffer.from(page, 'hex');
      if (isZero(pageId) || seen.has(page)) continue;
      seen.add(page);
      const pageBytes = chunksOnPage(manifest, position) * CHUNK_ID_BYTES;
      await need(pageId, pageBytes);
      const ids = await fetcher.read(pageId, pageBytes, call);
      for (let at = 0; at < ids.length / CHUNK_ID_BYTES; at += 1) {
        const id = idAt(ids, at);
        if (!isZero(id)) await need(id, chunkLength(manifest, position * PAGE_CHUNKS + at));
      }
    }
  }
  return needed;
}
