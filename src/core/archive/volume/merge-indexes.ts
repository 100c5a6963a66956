import type { CallOptions } from '../../contracts/index.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { type IndexedPack, putIndex, readIndexes } from './index-store.ts';
import { ChunkLocations } from './locations.ts';
import type { Manifest } from './manifest.ts';
import { neededPacks } from './needed-packs.ts';
import { CHUNKS_IN_INDEX, chunksIn } from './pack-writer.ts';

/** A manifest names so many indexes at most, but for those of an archive that is very large itself. */
export const MOST_INDEXES = 32;

/**
 * Where a manifest would name too many indexes, the archive gets its own with all that it needs, and names only those.
 */
export async function mergeIndexes(
  { vault, threads, token }: { readonly vault: Vault; readonly threads: Threads; readonly token: string },
  manifest: Manifest,
  call: CallOptions,
): Promise<Manifest> {
  if (manifest.indexes.length <= MOST_INDEXES) return manifest;
  const locations = await ChunkLocations.load(vault, manifest.indexes, call);
  const { packs: needed } = await neededPacks({ vault, locations, threads }, [manifest], call);
  const wanted = new Set(needed);
  const indexes: string[] = [];
  let merged: IndexedPack[] = [];
  const flush = async (): Promise<void> => {
    if (merged.length > 0) indexes.push(await putIndex(vault, token, merged, call));
    merged = [];
  };
  for await (const { packs } of readIndexes(vault, manifest.indexes, call)) {
    // No pack is told of twice.
    merged.push(...packs.filter(({ name }) => wanted.delete(name)));
    if (chunksIn(merged) >= CHUNKS_IN_INDEX) await flush();
  }
  await flush();
  return { ...manifest, indexes };
}
