import { beforeAll, describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { inlineThreads } from '../../../../src/core/archive/threads/inline.ts';
import { deriveIdKey } from '../../../../src/core/archive/sealing.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import { checkPack } from '../../../../src/core/archive/volume/check-pack.ts';
import { ChunkFetcher } from '../../../../src/core/archive/volume/chunk-fetcher.ts';
import { readIndexes } from '../../../../src/core/archive/volume/index-store.ts';
import { ChunkLocations } from '../../../../src/core/archive/volume/locations.ts';
import type { StoredManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { PackStore } from '../../../../src/core/archive/volume/pack-store.ts';
import { putDamage, putProof, type VerifyLevel } from '../../../../src/core/archive/volume/proofs.ts';
import type { Bank } from '../../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../../src/core/errors.ts';
import { commitTo, INSTANT } from '../checkpoints.ts';
import { flipped } from '../data-keys.ts';
import { vaultOf } from '../vaults.ts';
import { bankWith, countingCall, patterned, sourceOf } from '../volumes.ts';
import { archive, openArchive } from './archives.ts';
import { contentsOf } from './collecting.ts';
import { SMALL } from './sparse.ts';

const SIZE = SMALL + 900;
const VOLUME = patterned(SIZE, 1);
const LARGEST = 2 ** 20;
// Of a whole restore, which is slow; all its parts are looked at for every bit.
const RESTORE_EVERY = 211;

const NOTICED: readonly string[] = ['CORRUPT', 'UNKNOWN_KEY', 'NOT_FOUND'];

let contents: ReadonlyMap<string, Uint8Array>;
let sound: Bank;
let manifest: StoredManifest;

beforeAll(async () => {
  sound = memoryBank({ name: 'bank' });
  const vault = vaultOf(sound);
  manifest = await archive(vault, 'volume', sourceOf(VOLUME), { chunkSize: SMALL });
  await commitTo(vault, ['disk']);
  const pack = '0'.repeat(32);
  await putDamage(vault, { pack, reason: 'test', at: INSTANT }, countingCall());
  await putProof(vault, 'run', { level: 'deep', at: INSTANT, packs: [pack] }, countingCall());
  contents = await contentsOf(sound);
});

/** The bank, in which one object has other bytes. */
function bankWithOther(changed: string): { bank: Bank; become(bytes: Uint8Array): void } {
  let other = contents.get(changed) ?? new Uint8Array();
  const bank = bankWith(
    () => ({
      get: async (key, read, call) => {
        if (key !== changed) return sound.get(key, read, call);
        return 'limit' in read ? other.slice() : other.slice(read.offset, read.offset + read.length);
      },
      put: () => Promise.reject(new Error('nothing is written here')),
    }),
    sound,
  );
  return {
    bank,
    become: (bytes) => {
      other = bytes;
    },
  };
}

/** The keys of objects of a kind; there are some. */
function keysBelow(...kinds: readonly string[]): string[] {
  const keys = [...contents.keys()].filter((key) => kinds.includes(key.split('/')[1] ?? ''));
  expect(keys.length).toBeGreaterThanOrEqual(kinds.length);
  return keys;
}

/** Changes each bit of an object in turn, and collects what is told of those that went unnoticed. */
async function eachBit(
  key: string,
  look: (bit: number, bank: Bank) => Promise<string | undefined>,
): Promise<{ readonly unnoticed: string[]; readonly bits: number }> {
  const bytes = contents.get(key) ?? new Uint8Array();
  const { bank, become } = bankWithOther(key);
  const unnoticed: string[] = [];
  for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
    become(flipped(bytes, bit));
    const told = await look(bit, bank);
    if (told !== undefined) unnoticed.push(`${key}, bit ${bit}: ${told}`);
  }
  expect(bytes.length).toBeGreaterThan(0);
  return { unnoticed, bits: 8 * bytes.length };
}

/** Undefined where the work rejects with one of the codes that say what was found; else what it came to. */
async function unlessNoticed(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    return `came to ${String(await work())}`;
  } catch (error) {
    const isNoticed = FafnirError.is(error) && NOTICED.includes(error.code);
    return isNoticed ? undefined : `ended with ${String(error)}`;
  }
}

/** Restores all bytes with one who knows nothing yet: undefined where they are right. */
async function wrongBytes(bank: Bank): Promise<string | undefined> {
  await using reader = await openArchive(vaultOf(bank), manifest);
  const into = new Uint8Array(SIZE).fill(0xaa);
  await reader.readInto(0, into, countingCall());
  return Buffer.compare(into, VOLUME) === 0 ? undefined : 'other bytes came out';
}

async function fetcherOf(vault: Vault): Promise<ChunkFetcher> {
  const locations = await ChunkLocations.load(vault, manifest.indexes, countingCall());
  const idKey = deriveIdKey(await vault.key(manifest.idKey, countingCall()));
  return new ChunkFetcher({ vault, locations, idKey, threads: inlineThreads() });
}

describe('every changed bit', () => {
  it('of a record is noticed', async () => {
    const kinds = ['manifests', 'commits', 'graphs', 'artifacts', 'damage', 'proofs'] as const;
    for (const key of keysBelow(...kinds)) {
      let vault: Vault | undefined;
      const { unnoticed } = await eachBit(key, (_bit, bank) => {
        // One for all: it keeps keys, and nothing else.
        const opened = vault ?? vaultOf(bank);
        vault = opened;
        return unlessNoticed(() => opened.get(key, LARGEST, countingCall()));
      });
      expect(unnoticed).toEqual([]);
    }
  });

  it('of an index makes it count for nothing, and what it told of is found all the same', async () => {
    for (const key of keysBelow('index')) {
      const name = key.slice('acme/index/'.length);
      let vault: Vault | undefined;
      const { unnoticed } = await eachBit(key, async (bit, bank) => {
        vault ??= vaultOf(bank);
        const refused: unknown[] = [];
        const indexes = readIndexes(vault, [name], countingCall(), (_key, error) => refused.push(error));
        for await (const { packs } of indexes) return `it tells of ${packs.length} packs`;
        const [error] = refused;
        if (!FafnirError.is(error) || !NOTICED.includes(error.code)) return String(error);
        return bit % RESTORE_EVERY === 0 ? wrongBytes(bank) : undefined;
      });
      expect(unnoticed).toEqual([]);
    }
  });

  it.each<VerifyLevel>(['tags', 'deep'])('of a pack is noticed by a verification: %s', async (level) => {
    for (const key of keysBelow('data')) {
      const pack = key.slice(key.lastIndexOf('/') + 1);
      let fetcher: ChunkFetcher | undefined;
      const { unnoticed } = await eachBit(key, async (_bit, bank) => {
        fetcher ??= await fetcherOf(vaultOf(bank));
        const number = fetcher.locations.packs.findIndex(({ name }) => name === pack);
        const checking = fetcher;
        return unlessNoticed(() => checkPack(checking, number, level, countingCall()));
      });
      expect(unnoticed).toEqual([]);
    }
  });

  it('of the header of a pack is noticed by one who has no index', async () => {
    for (const key of keysBelow('data')) {
      const pack = key.slice(key.lastIndexOf('/') + 1);
      const { bank: whole } = bankWithOther(key);
      const size = contents.get(key)?.length ?? 0;
      const { header } = await new PackStore(vaultOf(whole)).header(pack, size, countingCall());
      const told = JSON.stringify([...header.chunks()]);
      let store: PackStore | undefined;
      const { unnoticed, bits } = await eachBit(key, async (_bit, bank) => {
        store ??= new PackStore(vaultOf(bank));
        try {
          const found = await store.header(pack, size, countingCall());
          const isSame = JSON.stringify([...found.header.chunks()]) === told;
          return isSame ? 'same' : 'other';
        } catch (error) {
          return FafnirError.is(error) && NOTICED.includes(error.code) ? undefined : String(error);
        }
      });
      // Of the chunks, the header tells nothing but their lengths.
      const inChunks = 8 * [...header.chunks()].reduce((sum, { storedBytes }) => sum + storedBytes, 0);
      expect(unnoticed.filter((one) => !one.endsWith('same'))).toEqual([]);
      expect(unnoticed).toHaveLength(inChunks);
      expect(bits).toBeGreaterThan(inChunks);
    }
  });

  it('of a pack leaves the bytes that are read right, or they are not read', async () => {
    for (const key of keysBelow('data')) {
      let fetcher: ChunkFetcher | undefined;
      const pack = key.slice(key.lastIndexOf('/') + 1);
      const { unnoticed } = await eachBit(key, async (bit, bank) => {
        if (bit % RESTORE_EVERY === 0) {
          const told = await wrongBytes(bank).catch((error: unknown) =>
            unlessNoticed(() => Promise.reject(error)),
          );
          if (told !== undefined) return told;
        }
        fetcher ??= await fetcherOf(vaultOf(bank));
        const { locations, packs } = fetcher;
        const number = locations.packs.findIndex(({ name }) => name === pack);
        const { first = 0, count = 0 } = locations.packs[number] ?? {};
        let noticed = 0;
        let inChunks = 0;
        for (let location = first; location < first + count; location += 1) {
          const chunk = { ...locations.at(location), id: idsOf(pack)[location - first] ?? new Uint8Array() };
          inChunks = chunk.offset + chunk.storedBytes;
          const call = countingCall();
          const sealed = new Uint8Array(await packs.read(pack, chunk.offset, chunk.storedBytes, call));
          const opening = fetcher.open({ pack: number, chunks: [chunk], sealed }, 'bytes', call);
          const raw = await opening.catch((error: unknown) => {
            if (!FafnirError.is(error, 'CORRUPT')) throw error;
            noticed += 1;
            return undefined;
          });
          if (raw !== undefined && raw.length !== chunk.rawBytes) return 'other bytes came out';
        }
        // The one chunk that the bit is in, or none where it is in what lies behind.
        const wanted = bit < 8 * inChunks ? 1 : 0;
        return noticed === wanted ? undefined : `${noticed} chunks were refused, not ${wanted}`;
      });
      expect(unnoticed).toEqual([]);
    }
  });

  it('of a wrapped key is noticed, and no other key is made in its place', async () => {
    for (const key of keysBelow('keys')) {
      const id = key.slice('acme/keys/'.length, 'acme/keys/'.length + 16);
      const { unnoticed } = await eachBit(key, async (_bit, bank) => {
        const told = await unlessNoticed(() => vaultOf(bank).key(id, countingCall()));
        const sealing = await unlessNoticed(() => vaultOf(bank).sealingKey(countingCall()));
        return told ?? (sealing === undefined ? undefined : `the sealing key ${sealing}`);
      });
      expect(unnoticed).toEqual([]);
    }
  });
});

const ids = new Map<string, Uint8Array[]>();
/** The ids of the chunks in a pack, by its sound header. */
function idsOf(pack: string): readonly Uint8Array[] {
  return ids.get(pack) ?? [];
}

beforeAll(async () => {
  const packs = new PackStore(vaultOf(sound));
  for (const [key, { length }] of contents) {
    if (!key.startsWith('acme/data/')) continue;
    const name = key.slice(key.lastIndexOf('/') + 1);
    const { header } = await packs.header(name, length, countingCall());
    ids.set(
      name,
      Array.from(header.chunks(), ({ id }) => id),
    );
  }
});
