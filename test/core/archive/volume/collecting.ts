import { memoryBank } from '../../../../src/banks/memory.ts';
import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import { type Collected, collect } from '../../../../src/core/archive/volume/collect.ts';
import { listIndexes, readIndexes } from '../../../../src/core/archive/volume/index-store.ts';
import {
  getManifest,
  type ManifestReference,
  type StoredManifest,
} from '../../../../src/core/archive/volume/manifest.ts';
import type { ArchiveRequest } from '../../../../src/core/archive/volume/write-archive.ts';
import type { Bank, Extent } from '../../../../src/core/contracts/index.ts';
import { vaultOf } from '../vaults.ts';
import { countingCall, keysOf, patterned, sourceOf, targetOf } from '../volumes.ts';
import { archive, openArchive } from './archives.ts';
import { SMALL } from './sparse.ts';

/** An archive, and what it must restore to. */
export interface Kept {
  readonly manifest: StoredManifest;
  readonly bytes: Uint8Array;
}

/** Collects, or says what would go, on the test's own thread. */
export async function collectIn(
  vault: Vault,
  live: readonly ManifestReference[],
  preview = false,
): Promise<Collected> {
  const call = { signal: countingCall().signal };
  const manifests: StoredManifest[] = [];
  for (const reference of live) manifests.push(await getManifest(vault, reference, call));
  return collect({ vault, live: manifests, preview, threads: inlineThreads() }, call);
}

/** What a bank holds: the object below each key. */
export async function contentsOf(bank: Bank): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  for (const key of await keysOf(bank, '')) {
    contents.set(key, await bank.get(key, { limit: 2 ** 30 }, countingCall()));
  }
  return contents;
}

/** A bank in memory that begins with these objects. */
export async function bankOf(contents: ReadonlyMap<string, Uint8Array>): Promise<Bank> {
  const bank = memoryBank({ name: 'bank' });
  for (const [key, bytes] of contents) await bank.put(key, bytes, { ifAbsent: true, ...countingCall() });
  return bank;
}

/** Puts other bytes in the place of an object. */
export const overwrite = async (bank: Bank, key: string, bytes: Uint8Array): Promise<void> => {
  await bank.put(key, bytes, { ifAbsent: false, ...countingCall() });
};

/** The names of the packs that a bank has. */
export const packsIn = async (bank: Bank): Promise<string[]> =>
  (await keysOf(bank, 'acme/data/')).map((key) => key.slice(key.lastIndexOf('/') + 1));

/** The names of the packs that indexes tell of: those of one archive where it is named. */
export async function toldOf(vault: Vault, token?: string): Promise<Set<string>> {
  const names = new Set<string>();
  const indexes = listIndexes(vault, token, countingCall());
  for await (const { packs } of readIndexes(vault, indexes, countingCall())) {
    for (const { name } of packs) names.add(name);
  }
  return names;
}

/** What is wrong with an archive, or undefined where it verifies and restores byte for byte. */
export async function wrongWith(vault: Vault, { manifest, bytes }: Kept): Promise<string | undefined> {
  await using reader = await openArchive(vault, manifest);
  const { damaged } = await reader.verify({ level: 'deep' }, countingCall());
  if (damaged.length > 0) return `packs of ${manifest.token} are damaged: ${damaged.join()}`;
  const restored = new Uint8Array(bytes.length);
  await reader.restoreInto(targetOf(restored, true), countingCall());
  return Buffer.compare(restored, bytes) === 0 ? undefined : `${manifest.token} restores to other bytes`;
}

/** How archives are written: two chunks in a pack. */
export const TINY: Pick<ArchiveRequest, 'chunkSize' | 'packBytes'> = {
  chunkSize: SMALL,
  packBytes: 600 * 1024,
};
/** Chunks of a volume. */
export const CHUNKS = 5;
/** Bytes of a volume; the last chunk is a short one. */
export const SIZE: number = (CHUNKS - 1) * SMALL + 1_000;

/** A volume whose chunks follow from seeds; 0 is a chunk of zeros. */
export function volume(seeds: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  for (const [at, seed] of seeds.entries()) {
    const offset = at * SMALL;
    if (seed > 0) bytes.set(patterned(Math.min(SMALL, SIZE - offset), seed), offset);
  }
  return bytes;
}

/** Where two volumes are the same, by chunk. */
export const changesOf = (before: readonly number[], after: readonly number[]): Extent[] =>
  after.map((seed, at) => ({
    offset: at * SMALL,
    length: Math.min(SMALL, SIZE - at * SMALL),
    kind: seed === before[at] ? 'same' : 'data',
  }));

/** Archives a volume in full. */
export const write = async (vault: Vault, token: string, seeds: readonly number[]): Promise<Kept> => {
  const bytes = volume(seeds);
  return { manifest: await archive(vault, token, sourceOf(bytes), TINY), bytes };
};

/** Archives a volume as it became, on the archive of what it was. */
export const writeBased = async (
  vault: Vault,
  token: string,
  [before, after]: readonly [readonly number[], readonly number[]],
  base: StoredManifest,
): Promise<Kept> => {
  const bytes = volume(after);
  const source = sourceOf(bytes, changesOf(before, after));
  const manifest = await archive(vault, token, source, { ...TINY, base: await openArchive(vault, base) });
  return { manifest, bytes };
};

/** What names them. */
export const manifestsOf = (kept: readonly Kept[]): StoredManifest[] => kept.map(({ manifest }) => manifest);

/** What is wrong with any of them. */
export async function wrongWithAll(vault: Vault, kept: readonly Kept[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const one of kept) wrong.push(...[(await wrongWith(vault, one)) ?? []].flat());
  return wrong;
}

/** Three archives of which two are live, sharing chunks, with something to collect. */
export async function madeOfThree(): Promise<{ contents: Map<string, Uint8Array>; live: readonly Kept[] }> {
  const bank = memoryBank({ name: 'bank' });
  const vault = vaultOf(bank);
  const [one, two] = [
    [1, 2, 3, 4, 5],
    [6, 2, 3, 4, 5],
  ] as const;
  const first = await write(vault, 'one', one);
  const second = await writeBased(vault, 'two', [one, two], first.manifest);
  const third = await write(vault, 'three', [9, 8, 7, 6, 2]);
  return { contents: await contentsOf(bank), live: [second, third] };
}
