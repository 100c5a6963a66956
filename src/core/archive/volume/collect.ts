import type { CallOptions } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { bankKeys } from '../keys.ts';
import type { Threads } from '../threads/threads.ts';
import type { Vault } from '../vault.ts';
import { listIndexes, putIndex, readIndexes, removeIndexes, tokenOf } from './index-store.ts';
import { ChunkLocations } from './locations.ts';
import type { StoredManifest } from './manifest.ts';
import { neededPacks } from './needed-packs.ts';
import { isPackName } from './pack-store.ts';

const REMOVED_AT_ONCE = 500;

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
};

/**
 * Removes archives that are not live, and packs of which no live archive needs a chunk. First the archives go, then what
 * indexes tell of the packs, then the packs: so a collection that is killed leaves nothing that points to nothing, and the
 * next one goes on. Rejects, removing nothing, where a page of a live archive cannot be read (`CORRUPT`, `NOT_FOUND`), or a
 * chunk may be in what is sealed under a key that is not held (`UNKNOWN_KEY`): then nobody knows what is needed.
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
  if (!preview) {
    await removeAll(vault, orphans, call);
    await forgetPacks(vault, garbage, call);
    const packs = [...garbage.keys()];
    const keys = packs.map((name) => bankKeys.pack(vault.tenant, name));
    await removeAll(vault, keys, call);
    const damage = packs.map((name) => `${bankKeys.damage(vault.tenant)}${name}`);
    await removeAll(vault, damage, call);
  }
  const bytes = [...garbage.values()].reduce((sum, size) => sum + size, 0);
  return { manifests: orphans.length, packs: garbage.size, bytes };
}

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
): Promise<readonly string[]> {
  const kept = new Set(live.map(({ token, digest }) => bankKeys.manifest(vault.tenant, token, digest)));
  const orphans: string[] = [];
  for await (const { key } of vault.bank.list(bankKeys.manifests(vault.tenant), call)) {
    if (!kept.has(key)) orphans.push(key);
  }
  return orphans;
}

/** Writes indexes anew that tell of packs which go: whoever reads one takes its packs for there. */
async function forgetPacks(
  vault: Vault,
  garbage: ReadonlyMap<string, number>,
  call: CallOptions,
): Promise<void> {
  const names: string[] = [];
  for await (const name of listIndexes(vault, undefined, call)) names.push(name);
  for await (const { name: index, packs } of readIndexes(vault, names, call)) {
    const kept = packs.filter(({ name }) => !garbage.has(name));
    if (kept.length === packs.length) continue;
    // Below the same token, where those look who miss it.
    if (kept.length > 0) await putIndex(vault, tokenOf(index), kept, call);
    await removeIndexes(vault, [index], call);
  }
}

async function removeAll(vault: Vault, keys: readonly string[], call: CallOptions): Promise<void> {
  for (let at = 0; at < keys.length; at += REMOVED_AT_ONCE) {
    call.signal.throwIfAborted();
    await vault.bank.remove(keys.slice(at, at + REMOVED_AT_ONCE), call);
  }
}

const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
