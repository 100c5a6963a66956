import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { mapSettled } from '../../map-settled.ts';
import { bankKeys } from '../keys.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { listIndexes, putIndex, readIndexes, removeIndexes, tokenOf } from './index-store.ts';
import { ChunkLocations } from './locations.ts';
import type { StoredManifest } from './manifest.ts';
import { neededPacks } from './needed-packs.ts';
import { isPackName } from './pack-store.ts';

const REMOVED_AT_ONCE = 500;
const HEADS_AT_ONCE = 16;

/** What is collected. */
export interface CollectRequest {
  /** Where. Nobody writes to it meanwhile. */
  readonly vault: Vault;
  /** Does the work on bytes. */
  readonly threads: Threads;
  /** The archives that stay. */
  readonly live: readonly StoredManifest[];
  /** Only says what would go. */
  readonly preview: boolean;
}

/** What went, or would go. */
export type Collected = {
  /** Archives that no checkpoint has. */
  readonly manifests: number;
  /** Packs of which no archive needs a chunk. */
  readonly packs: number;
  /** Bytes of those packs. */
  readonly bytes: number;
  /** What would have gone, but for locks of the bank, and goes when these have ended; nothing for a preview. */
  readonly locked: LockedGarbage;
};

/** What locks keep. */
export type LockedGarbage = {
  /** Objects. */
  readonly objects: number;
  /** Their bytes. */
  readonly bytes: number;
};

/** Bytes of objects, by key. */
type Sizes = ReadonlyMap<string, number>;

/**
 * Removes archives that are not live, and packs of which no live archive needs a chunk. First the archives go, then
 * what indexes tell of the packs, then the packs: so a collection that is killed leaves nothing that points to nothing,
 * and the next one goes on. What the bank keeps locked stays, and with an index the packs that it tells of. Rejects,
 * removing nothing, where a page of a live archive cannot be read (`CORRUPT`, `NOT_FOUND`), or a chunk may be in what
 * is sealed under a key that is not held (`UNKNOWN_KEY`): then nobody knows what is needed.
 */
export async function collect(request: CollectRequest, call: CallOptions): Promise<Collected> {
  const { vault, preview } = request;
  const sizes = await packSizes(vault, call);
  const unreadable = new Set<string>();
  const locations = await ChunkLocations.load(vault, [], call, (key) => unreadable.add(nameOf(key)));
  // In all indexes of the tenant.
  await locations.lookFurther(call);
  locations.avoidUnless(sizes);
  const needed = await neededPacks({ vault, locations, threads: request.threads }, request.live, call);
  if (needed.missing !== undefined) assertKeysHeld(locations, needed.missing);
  // What cannot be read may have what is missing.
  const isKept = (name: string): boolean =>
    needed.packs.has(name) || (needed.missing !== undefined && unreadable.has(name));
  const garbage = new Map([...sizes].filter(([name]) => !isKept(name)));
  const orphans = await orphanManifests(vault, request.live, call);
  const locked = new Map<string, number>();
  if (!preview) {
    const manifests = await removeUnlocked(vault, orphans, call);
    const indexes = await forgetPacks(vault, garbage, call);
    const told = new Set(indexes.flatMap(({ packs }) => packs));
    const keyed = [...garbage].map(([name, size]) => [bankKeys.pack(vault.tenant, name), size] as const);
    const free = new Map(keyed.filter(([key]) => !told.has(nameOf(key))));
    const packs = await removeUnlocked(vault, free, call);
    const kept = new Map([...keyed.filter(([key]) => told.has(nameOf(key))), ...packs]);
    for (const key of kept.keys()) garbage.delete(nameOf(key));
    for (const key of manifests.keys()) orphans.delete(key);
    const damage = [...garbage.keys()].map((name) => `${bankKeys.damage(vault.tenant)}${name}`);
    await removeUnlocked(vault, new Map(damage.map((key) => [key, 0])), call);
    for (const [key, size] of [...manifests, ...kept]) locked.set(key, size);
    for (const { key, size } of indexes) locked.set(key, size);
  }
  return {
    manifests: orphans.size,
    packs: garbage.size,
    bytes: sumOf(garbage),
    locked: { objects: locked.size, bytes: sumOf(locked) },
  };
}

const sumOf = (sizes: Sizes): number => [...sizes.values()].reduce((sum, size) => sum + size, 0);

function assertKeysHeld(locations: ChunkLocations, missing: Uint8Array): void {
  const error = locations.missing(missing);
  if (FafnirError.is(error, 'UNKNOWN_KEY')) throw error;
}

/** Bytes of each pack that is there. What else lies between them is left alone. */
async function packSizes(vault: Vault, call: CallOptions): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of vault.bank.list(bankKeys.packs(vault.tenant), call)) {
    const name = nameOf(key);
    if (isPackName(name) && key === bankKeys.pack(vault.tenant, name)) sizes.set(name, size);
  }
  return sizes;
}

async function orphanManifests(
  vault: Vault,
  live: readonly StoredManifest[],
  call: CallOptions,
): Promise<Map<string, number>> {
  const kept = new Set(live.map(({ token, digest }) => bankKeys.manifest(vault.tenant, token, digest)));
  const orphans = new Map<string, number>();
  for await (const { key, size } of vault.bank.list(bankKeys.manifests(vault.tenant), call)) {
    if (!kept.has(key)) orphans.set(key, size);
  }
  return orphans;
}

/**
 * Writes indexes anew that tell of packs which go: whoever reads one takes its packs for there. Resolves with those that are
 * locked, and the packs that are to stay with each.
 */
async function forgetPacks(
  vault: Vault,
  garbage: Sizes,
  call: CallOptions,
): Promise<readonly { readonly key: string; readonly size: number; readonly packs: readonly string[] }[]> {
  const names: string[] = [];
  const locked: { key: string; size: number; packs: readonly string[] }[] = [];
  for await (const name of listIndexes(vault, undefined, call)) names.push(name);
  for await (const { name: index, packs } of readIndexes(vault, names, call)) {
    const kept = packs.filter(({ name }) => !garbage.has(name));
    if (kept.length === packs.length) continue;
    // Below the same token, where those look who miss it.
    const anew = kept.length > 0 ? await putIndex(vault, tokenOf(index), kept, call) : undefined;
    const key = bankKeys.index(vault.tenant, index);
    const [size] = (await removeUnlocked(vault, new Map([[key, 0]]), call)).values();
    if (size === undefined) continue;
    if (anew !== undefined) await removeIndexes(vault, [anew], call);
    const going = packs.filter(({ name }) => garbage.has(name));
    locked.push({ key, size, packs: going.map(({ name }) => name) });
  }
  return locked;
}

/** Removes objects; resolves with those that the bank keeps locked, and their bytes. */
async function removeUnlocked(vault: Vault, objects: Sizes, call: CallOptions): Promise<Sizes> {
  const locked = new Map<string, number>();
  const keys = [...objects.keys()];
  for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) {
    call.signal.throwIfAborted();
    const some = keys.slice(at, at + REMOVED_AT_ONCE);
    try {
      await vault.bank.remove(some, call);
    } catch (error) {
      if (!FafnirError.is(error, 'LOCKED')) throw error;
      // All others are gone.
      const heads = await mapSettled(some, (key, _at, signal) => vault.bank.head(key, { signal }), {
        concurrency: HEADS_AT_ONCE,
        signal: call.signal,
      });
      for (const object of heads) if (object !== undefined) locked.set(object.key, object.size);
    }
  }
  return locked;
}

const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
