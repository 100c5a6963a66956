import { createHmac } from 'node:crypto';
import { PackHeader } from '../../../../src/core/archive/pack.ts';
import { PackBuilder } from '../../../../src/core/archive/pack-builder.ts';
import { deriveIdKey } from '../../../../src/core/archive/sealing.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import { type IndexedPack, putIndex } from '../../../../src/core/archive/volume/index-store.ts';
import { putManifest, type StoredManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { countingCall } from '../volumes.ts';

const PAGE_CHUNKS = 4_096;
// Room for the largest chunk and what is told of it.
const PACK_BYTES = 5 * 1024 * 1024;

/** A volume of which only some chunks are not zeros. */
export interface SparseVolume {
  readonly size: number;
  readonly chunkSize: number;
  /** By position; each of the length that its position has. */
  readonly chunks: ReadonlyMap<number, Uint8Array>;
}

/** How it is stored. */
export interface WriteOptions {
  /** Chunks in one pack; 3 unless given. */
  readonly inPack?: number;
  /** Packs in one index; 2 unless given. */
  readonly inIndex?: number;
  /** Chunks that are taken to be stored already, and are added to. */
  readonly known?: Set<string>;
  /** Names of other indexes that are needed. */
  readonly indexes?: readonly string[];
  /** How often each chunk is stored, in other packs. */
  readonly times?: number;
}

/** What was written. */
export interface WrittenArchive {
  readonly manifest: StoredManifest;
  /** Packs in order, those of pages last. */
  readonly packs: readonly IndexedPack[];
  /** Keys. */
  readonly indexes: readonly string[];
}

/** Writes an archive by what the format's document says, with nothing of the engine's own writer. */
export async function writeVolume(
  vault: Vault,
  token: string,
  { size, chunkSize, chunks }: SparseVolume,
  { inPack = 3, inIndex = 2, known = new Set(), indexes = [], times = 1 }: WriteOptions = {},
): Promise<WrittenArchive> {
  const call = countingCall();
  const key = await vault.sealingKey(call);
  const named = await vault.idKey(call);
  const idOf = (bytes: Uint8Array): Buffer => createHmac('sha256', deriveIdKey(named)).update(bytes).digest();
  const packs: IndexedPack[] = [];
  const store = async (all: readonly Uint8Array[]): Promise<void> => {
    for (let at = 0; at < all.length; at += inPack) {
      const builder = new PackBuilder(key, new ArrayBuffer(PACK_BYTES * inPack));
      for (const bytes of all.slice(at, at + inPack)) builder.add(idOf(bytes), bytes);
      const { name, keyId, body, entries } = builder.finish();
      const header = new PackHeader(entries);
      await vault.bank.put(packKey(vault, name), Uint8Array.from(body), { ifAbsent: true, ...call });
      packs.push({ name, keyId, header });
    }
  };
  const fresh = (all: Iterable<Uint8Array>): Uint8Array[] =>
    [...all].filter((bytes) => {
      const id = idOf(bytes).toString('hex');
      return !known.has(id) && known.add(id);
    });
  const pageBytes: (Uint8Array | undefined)[] = [];
  for (let first = 0; first < Math.ceil(size / chunkSize); first += PAGE_CHUNKS) {
    const count = Math.min(PAGE_CHUNKS, Math.ceil(size / chunkSize) - first);
    const page = Buffer.alloc(count * 32);
    for (const [position, bytes] of chunks) {
      if (position >= first && position < first + count) page.set(idOf(bytes), (position - first) * 32);
    }
    pageBytes.push(page.some((byte) => byte !== 0) ? page : undefined);
  }
  const toStore = fresh(chunks.values());
  const pages = fresh(pageBytes.filter((page) => page !== undefined));
  for (let time = 0; time < times; time += 1) {
    await store(toStore);
    await store(pages);
  }
  const names: string[] = [];
  for (let at = 0; at < packs.length; at += inIndex) {
    names.push(await putIndex(vault, token, packs.slice(at, at + inIndex), call));
  }
  const manifest = await putManifest(
    vault,
    token,
    {
      size,
      chunkSize,
      idKey: named.id,
      pages: pageBytes.map((page) => (page === undefined ? '0'.repeat(64) : idOf(page).toString('hex'))),
      indexes: [...names, ...indexes],
    },
    call,
  );
  return { manifest, packs, indexes: names.map((name) => `${vault.tenant}/index/${name}`) };
}

/** Where a pack lies. */
export const packKey = ({ tenant }: Vault, name: string): string =>
  `${tenant}/data/${name.slice(0, 2)}/${name}`;
