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

/** What archives need. */
export interface Needed {
  /** Names of packs. Of a chunk that several have, all that are sound; all others only where none is. */
  readonly packs: ReadonlySet<string>;
  /** A chunk that is in no pack that could be read, if there is one. */
  readonly missing: Uint8Array | undefined;
}

/** What the pages and chunks of archives are in; `CORRUPT` or `NOT_FOUND` where a page cannot be read. */
export async function neededPacks(
  { vault, locations, threads }: NeededFrom,
  manifests: Iterable<Manifest>,
  call: CallOptions,
): Promise<Needed> {
  const packs = new Set<string>();
  const seen = new Set<string>();
  let missing: Uint8Array | undefined;
  for (const manifest of manifests) {
    const idKey = deriveIdKey(await vault.key(manifest.idKey, call));
    const fetcher = new ChunkFetcher({ vault, locations, idKey, threads });
    const need = async (id: Uint8Array, length: number): Promise<void> => {
      if ((await fetcher.locate(id, length, call)) === -1) missing ??= id;
      const numbers = locations.all(id, length).map((location) => locations.packOf(location));
      const sound = numbers.filter((number) => !locations.isAvoided(number));
      for (const number of sound.length > 0 ? sound : numbers) packs.add(locations.packs[number]?.name ?? '');
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
  return { packs, missing };
}
