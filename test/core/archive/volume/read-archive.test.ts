import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../../src/banks/filesystem.ts';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { ThreadPool } from '../../../../src/core/archive/threads/pool.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import type { ManifestReference } from '../../../../src/core/archive/volume/manifest.ts';
import { ArchiveReader, type ReaderOptions } from '../../../../src/core/archive/volume/read-archive.ts';
import type { Bank, CallOptions } from '../../../../src/core/contracts/index.ts';
import { parseTenantId } from '../../../../src/core/identity.ts';
import { memoryKeys } from '../../../../src/testing/memory-keys.ts';
import { flipped } from '../data-keys.ts';
import { ACME, bankWith, countingCall, keysOf, patterned, targetOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { cloningThreads } from './cloning-threads.ts';
import { anyVolume, bytesOf, collected, noise, SMALL, sparseTarget, sparseVolume } from './sparse.ts';
import { packKey, writeVolume } from './write.ts';

const PAGE_CHUNKS = 4_096;
const CALL: CallOptions = countingCall();

const open = (
  vault: Vault,
  reference: ManifestReference,
  options: Partial<ReaderOptions> = {},
): Promise<ArchiveReader> =>
  ArchiveReader.open(vault, reference, { threads: cloningThreads(), ...options }, CALL);

/** Ten chunks: data, holes, three that are alike, a short one at the end. */
const VOLUME = sparseVolume(9 * SMALL + 77, SMALL, { 0: 1, 1: 2, 3: 3, 4: 1, 7: 4, 8: 1, 9: 5 });
const BYTES = bytesOf(VOLUME);

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Counts what a bank is asked for. */
function counted(): { bank: Bank; gets: string[]; underWay(): number; most(): number } {
  const gets: string[] = [];
  let underWay = 0;
  let most = 0;
  const bank = bankWith((sound) => ({
    get: async (key, read, call) => {
      gets.push(key);
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise((resolve) => setImmediate(resolve));
      return sound.get(key, read, call).finally(() => {
        underWay -= 1;
      });
    },
  }));
  return { bank, gets, underWay: () => underWay, most: () => most };
}

describe('an archive that was written by the document', () => {
  it('gives back its bytes: to a new volume, to an old one, in order and at random', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyVolume,
        fc.record({
          inPack: fc.integer({ min: 1, max: 5 }),
          inIndex: fc.integer({ min: 1, max: 3 }),
          times: fc.integer({ min: 1, max: 2 }),
        }),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 4, maxLength: 4 }),
        fc.nat({ max: 3 }),
        async (volume, options, ranges, seed) => {
          const vault = vaultOf(memoryBank({ name: 'bank' }));
          const { manifest } = await writeVolume(vault, 'volume', volume, options);
          const wanted = bytesOf(volume);
          await using archive = await open(vault, manifest);
          const fresh = new Uint8Array(volume.size);
          const call = countingCall();
          const written = await archive.restoreInto(targetOf(fresh, true), call);
          expect(same(fresh, wanted)).toBe(true);
          expect(call.bytes()).toBe(volume.size);
          expect(written).toBe([...volume.chunks.values()].reduce((sum, { length }) => sum + length, 0));

          const old = patterned(volume.size, seed);
          const again = countingCall();
          await archive.restoreInto(targetOf(old, false), again);
          expect(same(old, wanted)).toBe(true);
          expect(again.bytes()).toBe(volume.size);

          const parts: Uint8Array[] = [];
          for await (const part of archive.stream(CALL)) parts.push(part);
          expect(same(Buffer.concat(parts), wanted)).toBe(true);

          for (const [a, b] of ranges) {
            const [from, to] = [a % (volume.size + 1), b % (volume.size + 1)].sort((x, y) => x - y);
            const into = new Uint8Array((to ?? 0) - (from ?? 0)).fill(0xaa);
            await archive.readInto(from ?? 0, into, CALL);
            expect(same(into, wanted.subarray(from, to))).toBe(true);
          }
          const verified = await archive.verify({ level: 'deep' }, countingCall());
          expect(verified).toMatchObject({ confidence: 1, damaged: [] });
        },
      ),
      { numRuns: 25 },
    );
  });

  it('has a map that is true and without gaps', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const archive = await open(vault, (await writeVolume(vault, 'volume', VOLUME)).manifest);
    const extents = await collected(archive.extents(CALL));
    const kinds = extents.map(({ offset, length, kind }) => [offset / SMALL, length, kind]);
    expect(kinds).toEqual([
      [0, 2 * SMALL, 'data'],
      [2, SMALL, 'zero'],
      [3, 2 * SMALL, 'data'],
      [5, 2 * SMALL, 'zero'],
      [7, 2 * SMALL + 77, 'data'],
    ]);
  });

  it('goes over the borders of pages', async () => {
    const last = 2 * PAGE_CHUNKS + 1;
    const positions = [0, PAGE_CHUNKS - 1, PAGE_CHUNKS, last];
    const seeds = Object.fromEntries(positions.map((position, seed) => [position, seed]));
    const volume = sparseVolume(last * SMALL + 5, SMALL, seeds);
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const archive = await open(vault, (await writeVolume(vault, 'volume', volume)).manifest);
    const target = sparseTarget(volume);
    expect(await archive.restoreInto(target, countingCall())).toBe(3 * SMALL + 5);
    expect([...target.chunks.keys()].sort((a, b) => a - b)).toEqual(positions);
    for (const [position, bytes] of volume.chunks) {
      expect(same(target.chunks.get(position) ?? new Uint8Array(), bytes)).toBe(true);
    }
    const into = new Uint8Array(2 * SMALL + 2);
    await archive.readInto((PAGE_CHUNKS - 1) * SMALL - 1, into, CALL);
    const chunk = (position: number): Uint8Array => volume.chunks.get(position) ?? new Uint8Array();
    const expected = [Buffer.alloc(1), chunk(PAGE_CHUNKS - 1), chunk(PAGE_CHUNKS), Buffer.alloc(1)];
    expect(same(into, Buffer.concat(expected))).toBe(true);
  });

  it('may have packs that are too large to be in memory', async () => {
    let largest = 0;
    const bank = bankWith((sound) => ({
      get: (key, read, call) => {
        if ('length' in read) largest = Math.max(largest, read.length);
        return sound.get(key, read, call);
      },
    }));
    const vault = vaultOf(bank);
    const chunkSize = 16 * SMALL;
    const chunks = new Map(Array.from({ length: 8 }, (_, at) => [at, noise(chunkSize, at)]));
    const volume = { size: 8 * chunkSize, chunkSize, chunks };
    const { manifest, packs } = await writeVolume(vault, 'volume', volume, { inPack: 8 });
    const archive = await open(vault, manifest);
    const bytes = new Uint8Array(volume.size);
    await archive.restoreInto(targetOf(bytes, true), countingCall());
    expect(same(bytes, bytesOf(volume))).toBe(true);
    expect(await archive.verify({ level: 'deep' }, countingCall())).toMatchObject({ chunks: 9, damaged: [] });
    expect(largest).toBeLessThanOrEqual(24 * 1024 * 1024);
    const [name = ''] = packs.map((pack) => pack.name);
    const object = await vault.bank.get(packKey(vault, name), { limit: 2 ** 30 }, CALL);
    const longer = Buffer.concat([object, Buffer.alloc(1)]);
    await vault.bank.put(packKey(vault, name), longer, { ifAbsent: false, ...CALL });
    expect(await archive.verify({ level: 'tags' }, countingCall())).toMatchObject({ damaged: [name] });
  });

  it('has pages of zeros that are nowhere', async () => {
    const volume = sparseVolume(3 * PAGE_CHUNKS * SMALL, SMALL, { [2 * PAGE_CHUNKS + 9]: 1 });
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest, packs } = await writeVolume(vault, 'volume', volume);
    expect(manifest.pages.filter((page) => page === '0'.repeat(64))).toHaveLength(2);
    expect(packs).toHaveLength(2);
    const archive = await open(vault, manifest);
    const data = (await collected(archive.extents(CALL))).filter(({ kind }) => kind === 'data');
    expect(data).toEqual([{ offset: (2 * PAGE_CHUNKS + 9) * SMALL, length: SMALL, kind: 'data' }]);
  });

  it('of no bytes and of zeros only needs no packs', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    for (const size of [0, SMALL + 1]) {
      const { manifest, packs } = await writeVolume(vault, `of-${size}`, sparseVolume(size, SMALL, {}));
      expect(packs).toEqual([]);
      const archive = await open(vault, manifest);
      const old = new Uint8Array(size).fill(1);
      expect(await archive.restoreInto(targetOf(old, false), countingCall())).toBe(0);
      expect(old.every((byte) => byte === 0)).toBe(true);
      const verified = await archive.verify({ level: 'deep' }, countingCall());
      expect(verified).toEqual({ packs: 0, chunks: 0, bytes: 0, confidence: 1, damaged: [] });
    }
  });

  it('shares chunks with another archive, through the indexes of both', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const known = new Set<string>();
    const first = await writeVolume(vault, 'first', VOLUME, { known });
    const changed = sparseVolume(VOLUME.size, SMALL, { 0: 1, 1: 9, 5: 3, 9: 5 });
    const { manifest, packs } = await writeVolume(vault, 'second', changed, {
      known,
      indexes: first.manifest.indexes,
    });
    // The one chunk that is new, and the page.
    expect(packs.map(({ header }) => header.count)).toEqual([1, 1]);
    const bytes = new Uint8Array(VOLUME.size);
    await (await open(vault, manifest)).restoreInto(targetOf(bytes, true), countingCall());
    expect(same(bytes, bytesOf(changed))).toBe(true);
  });

  it('is not seen by another tenant, nor under another digest', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { manifest } = await writeVolume(vaultOf(bank), 'volume', VOLUME);
    await expect(open(vaultOf(bank, parseTenantId('other')), manifest)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const other = { token: 'volume', digest: 'f'.repeat(64) };
    await expect(open(vaultOf(bank), other)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('refuses ranges beyond its end', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const archive = await open(vault, (await writeVolume(vault, 'volume', VOLUME)).manifest);
    for (const offset of [-1, 0.5, VOLUME.size, Number.NaN]) {
      const read = archive.readInto(offset, new Uint8Array(1), CALL);
      await expect(read).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    }
    await archive.readInto(VOLUME.size, new Uint8Array(), CALL);
  });
});

describe('reading sparingly', () => {
  it('fetches each pack once for a restore', async () => {
    const { bank, gets } = counted();
    const vault = vaultOf(bank);
    // Each pack has chunks from all over the volume.
    const seeds = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [(at * 7) % 30, at]));
    const volume = sparseVolume(30 * SMALL, SMALL, seeds);
    const { manifest, packs } = await writeVolume(vault, 'volume', volume, { inPack: 10 });
    const archive = await open(vault, manifest);
    gets.length = 0;
    await archive.restoreInto(targetOf(new Uint8Array(volume.size), true), countingCall());
    expect(gets.sort()).toEqual(packs.map(({ name }) => packKey(vault, name)).sort());
  });

  it('keeps what it read lately, within its memory', async () => {
    const { bank, gets } = counted();
    const vault = vaultOf(bank);
    const { manifest } = await writeVolume(vault, 'volume', VOLUME, { inPack: 1 });
    const read = async (archive: ArchiveReader, position: number): Promise<number> => {
      const before = gets.length;
      await archive.readInto(position * SMALL + 10, new Uint8Array(100), CALL);
      return gets.length - before;
    };
    const roomy = await open(vault, manifest);
    // The page and the chunk, then nothing; chunk 4 is like chunk 0.
    expect([await read(roomy, 0), await read(roomy, 0), await read(roomy, 4)]).toEqual([2, 0, 0]);
    const tight = await open(vault, manifest, { memory: SMALL + 10 * 32 });
    expect([await read(tight, 0), await read(tight, 0), await read(tight, 1)]).toEqual([2, 0, 1]);
    // The first chunk had to go for the second.
    expect(await read(tight, 0)).toBeGreaterThan(0);
  });

  it('has at most two requests under way for each thread, of the bank and the target together', async () => {
    const { bank, underWay, most } = counted();
    const vault = vaultOf(bank);
    const seeds = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [at, at]));
    const volume = sparseVolume(40 * SMALL, SMALL, seeds);
    const { manifest } = await writeVolume(vault, 'volume', volume, { inPack: 2 });
    const threads = cloningThreads(1);
    const archive = await open(vault, manifest, { threads });
    const bytes = new Uint8Array(volume.size);
    let writing = 0;
    let atOnce = 0;
    const target = targetOf(bytes, true, {
      write: async (offset, data) => {
        writing += 1;
        atOnce = Math.max(atOnce, writing + underWay());
        await new Promise((resolve) => setImmediate(resolve));
        bytes.set(data, offset);
        writing -= 1;
      },
    });
    await archive.restoreInto(target, countingCall());
    expect(atOnce).toBeLessThanOrEqual(2);
    expect(most()).toBeLessThanOrEqual(2);
    expect(threads.most()).toBeLessThanOrEqual(2);
  });

  it('reads only the parts of a pack that are needed, where much is not', async () => {
    let asked = 0;
    const bank = bankWith((sound) => ({
      get: (key, read, call) => {
        if (key.includes('/data/') && 'length' in read) asked += read.length;
        return sound.get(key, read, call);
      },
    }));
    const vault = vaultOf(bank);
    const chunks = new Map(Array.from({ length: 8 }, (_, at) => [at, noise(4 * SMALL, at)]));
    const volume = { size: 8 * 4 * SMALL, chunkSize: 4 * SMALL, chunks };
    const known = new Set<string>();
    const first = await writeVolume(vault, 'first', volume, { inPack: 8, known });
    const ends = new Map([...chunks].filter(([at]) => at === 0 || at === 7));
    const { manifest } = await writeVolume(
      vault,
      'second',
      { ...volume, chunks: ends },
      { known, indexes: first.manifest.indexes },
    );
    asked = 0;
    const bytes = new Uint8Array(volume.size);
    await (await open(vault, manifest)).restoreInto(targetOf(bytes, true), countingCall());
    expect(asked).toBeLessThan(3 * 4 * SMALL);
    expect(same(bytes, bytesOf({ ...volume, chunks: ends }))).toBe(true);
  });
});

describe('indexes', () => {
  const withIndexes = async (
    change: (bank: Bank, keys: readonly string[]) => Promise<void>,
  ): Promise<{ bytes: Uint8Array; vault: Vault }> => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest, indexes } = await writeVolume(vault, 'volume', VOLUME, { inPack: 2, inIndex: 1 });
    await change(vault.bank, indexes);
    const bytes = new Uint8Array(VOLUME.size);
    await (await open(vault, manifest)).restoreInto(targetOf(bytes, true), countingCall());
    return { bytes, vault };
  };

  it.each<[string, (bank: Bank, keys: readonly string[]) => Promise<void>]>([
    ['all gone', (bank, keys) => bank.remove(keys, CALL)],
    ['some gone', (bank, keys) => bank.remove(keys.slice(1), CALL)],
    [
      'damaged',
      async (bank, keys) => {
        for (const key of keys) {
          const object = await bank.get(key, { limit: 1_000_000 }, CALL);
          await bank.put(key, flipped(object, object.length * 4), { ifAbsent: false, ...CALL });
        }
      },
    ],
    [
      'cut off',
      async (bank, keys) => {
        for (const key of keys) {
          const object = await bank.get(key, { limit: 1_000_000 }, CALL);
          await bank.put(key, object.subarray(0, 20), { ifAbsent: false, ...CALL });
        }
      },
    ],
  ])('only save time: %s', async (_, change) => {
    expect(same((await withIndexes(change)).bytes, BYTES)).toBe(true);
  });

  it('may be there twice, and name packs that are gone', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const gone = await writeVolume(vault, 'volume', VOLUME, { inPack: 2 });
    const { manifest } = await writeVolume(vault, 'volume', VOLUME, { inPack: 3 });
    await writeVolume(vault, 'other', VOLUME, { inPack: 2 });
    await vault.bank.remove(
      gone.packs.map(({ name }) => packKey(vault, name)),
      CALL,
    );
    const archive = await open(vault, manifest);
    const bytes = new Uint8Array(VOLUME.size);
    await archive.restoreInto(targetOf(bytes, true), countingCall());
    expect(same(bytes, BYTES)).toBe(true);
  });
});

describe('a chunk in several packs', () => {
  it.each<[string, (bank: Bank, key: string) => Promise<unknown>]>([
    ['gone', (bank, key) => bank.remove([key], CALL)],
    [
      'damaged',
      async (bank, key) => {
        const object = await bank.get(key, { limit: 10_000_000 }, CALL);
        await bank.put(key, flipped(object, 50), { ifAbsent: false, ...CALL });
      },
    ],
    [
      'cut off',
      async (bank, key) => {
        const object = await bank.get(key, { limit: 10_000_000 }, CALL);
        await bank.put(key, object.subarray(0, 70), { ifAbsent: false, ...CALL });
      },
    ],
  ])('is read from another where one is %s', async (_, spoil) => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest, packs } = await writeVolume(vault, 'volume', VOLUME, { times: 2 });
    // Every second copy of chunks and pages, from either half.
    const half = packs.length / 2;
    for (const [at, { name }] of packs.entries()) {
      if (at % 2 === (at < half ? 0 : 1 - (half % 2))) await spoil(vault.bank, packKey(vault, name));
    }
    const archive = await open(vault, manifest);
    const bytes = new Uint8Array(VOLUME.size);
    await archive.restoreInto(targetOf(bytes, true), countingCall());
    expect(same(bytes, BYTES)).toBe(true);
  });

  it('is read from the one that is not marked as damaged', async () => {
    const { bank, gets } = counted();
    const vault = vaultOf(bank);
    const { manifest, packs } = await writeVolume(vault, 'volume', VOLUME, { times: 2 });
    const names = packs.map(({ name }) => name);
    const halves = [names.slice(0, names.length / 2), names.slice(names.length / 2)];
    for (const [at, marked] of halves.entries()) {
      for (const name of marked) await vault.put(`acme/damage/${name}`, new Uint8Array(1), CALL);
      const archive = await open(vault, manifest);
      gets.length = 0;
      await archive.restoreInto(targetOf(new Uint8Array(VOLUME.size), true), countingCall());
      expect(gets.map((key) => key.slice(-32)).sort()).toEqual(halves[1 - at]?.toSorted());
      await bank.remove(await keysOf(bank, 'acme/damage/'), CALL);
    }
  });

  it('is sought in the archives of others', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest, packs } = await writeVolume(vault, 'volume', VOLUME);
    await writeVolume(vault, 'other', VOLUME);
    await vault.bank.remove(
      packs.map(({ name }) => packKey(vault, name)),
      CALL,
    );
    const bytes = new Uint8Array(VOLUME.size);
    await (await open(vault, manifest)).restoreInto(targetOf(bytes, true), countingCall());
    expect(same(bytes, BYTES)).toBe(true);
  });
});

describe('a damaged archive', () => {
  it('is CORRUPT with a bit of any object changed, and nothing of that reaches a target', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest, indexes } = await writeVolume(vault, 'volume', VOLUME);
    // Without indexes the headers of packs are read too.
    await vault.bank.remove(indexes, CALL);
    const keys = [
      ...(await keysOf(vault.bank, 'acme/data/')),
      ...(await keysOf(vault.bank, 'acme/manifests/')),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...keys),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (key, where) => {
          const sound = await vault.bank.get(key, { limit: 10_000_000 }, CALL);
          const bit = Math.min(sound.length * 8 - 1, Math.floor(where * sound.length * 8));
          await vault.bank.put(key, flipped(sound, bit), { ifAbsent: false, ...CALL });
          const bytes = new Uint8Array(VOLUME.size);
          try {
            const restored = open(vault, manifest).then((archive) =>
              archive.restoreInto(targetOf(bytes, true), countingCall()),
            );
            await expect(restored).rejects.toSatisfy(
              // Where the only header that told of a chunk does not open, the chunk is nowhere.
              (error: { code: string }) => ['CORRUPT', 'NOT_FOUND', 'UNKNOWN_KEY'].includes(error.code),
            );
            for (let at = 0; at < bytes.length; at += SMALL) {
              const [got, wanted] = [bytes.subarray(at, at + SMALL), BYTES.subarray(at, at + SMALL)];
              expect(same(got, wanted) || got.every((byte) => byte === 0)).toBe(true);
            }
          } finally {
            await vault.bank.put(key, sound, { ifAbsent: false, ...CALL });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ['CORRUPT', false],
    ['NOT_FOUND', true],
  ])(
    'is %s, naming pack and bank, where a pack is no longer what it was (gone: %s)',
    async (code, isGone) => {
      const vault = vaultOf(memoryBank({ name: 'bank' }));
      const { manifest, packs } = await writeVolume(vault, 'volume', VOLUME);
      const name = packs[0]?.name ?? '';
      const key = packKey(vault, name);
      const object = await vault.bank.get(key, { limit: 10_000_000 }, CALL);
      if (isGone) await vault.bank.remove([key], CALL);
      else await vault.bank.put(key, flipped(object, 9), { ifAbsent: false, ...CALL });
      const archive = await open(vault, manifest);
      const failure = { code, message: expect.stringMatching(new RegExp(`${name}.* bank bank`)) };
      const bytes = new Uint8Array(VOLUME.size);
      await expect(archive.restoreInto(targetOf(bytes, true), countingCall())).rejects.toMatchObject(failure);
      await expect(archive.readInto(0, new Uint8Array(1), CALL)).rejects.toMatchObject(failure);
      await expect(collected(archive.stream(CALL))).rejects.toMatchObject(failure);
      expect(bytes.subarray(0, SMALL).every((byte) => byte === 0)).toBe(true);
    },
  );

  it('is UNKNOWN_KEY, not damaged, for one who does not hold the keys', async () => {
    const bank = memoryBank({ name: 'bank' });
    const { manifest } = await writeVolume(vaultOf(bank), 'volume', VOLUME);
    const opened = open(vaultOf(bank, ACME, memoryKeys()), manifest);
    await expect(opened).rejects.toMatchObject({ code: 'UNKNOWN_KEY' });
  });
});

describe('an abort', () => {
  it('ends a restore soon, with nothing under way', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const { manifest } = await writeVolume(vault, 'volume', VOLUME, { inPack: 1 });
    for (const when of [0, 1, 2, 4]) {
      const aborted = new AbortController();
      const threads = cloningThreads();
      const bytes = new Uint8Array(VOLUME.size);
      let writes = 0;
      let writing = 0;
      const target = targetOf(bytes, true, {
        write: async (offset, data) => {
          writing += 1;
          writes += 1;
          if (writes >= when) aborted.abort(new Error('enough'));
          await new Promise((resolve) => setImmediate(resolve));
          bytes.set(data, offset);
          writing -= 1;
        },
      });
      const archive = await open(vault, manifest, { threads });
      if (when === 0) aborted.abort(new Error('enough'));
      const call = { ...countingCall(), signal: aborted.signal };
      await expect(archive.restoreInto(target, call)).rejects.toThrow('enough');
      expect([writing, threads.underWay()]).toEqual([0, 0]);
      if (when === 0) expect(writes).toBe(0);
    }
  });

  it('ends a stream that is left', async () => {
    const { bank, underWay } = counted();
    const vault = vaultOf(bank);
    const volume = sparseVolume(
      70 * 4 * SMALL,
      4 * SMALL,
      Object.fromEntries(Array.from({ length: 70 }, (_, at) => [at, at])),
    );
    const { manifest } = await writeVolume(vault, 'volume', volume, { inPack: 8 });
    const archive = await open(vault, manifest);
    for await (const part of archive.stream(CALL)) {
      expect(same(part, bytesOf(volume).subarray(0, part.length))).toBe(true);
      break;
    }
    expect(underWay()).toBe(0);
  });
});

describe('on files and real threads', () => {
  const directories: string[] = [];
  afterEach(async () => {
    for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
  });

  it('restores and verifies', async () => {
    const root = await mkdtemp(join(tmpdir(), 'fafnir-reader-'));
    directories.push(root);
    const vault = vaultOf(filesystemBank({ root, name: 'files' }));
    const { manifest } = await writeVolume(vault, 'volume', VOLUME);
    await using threads = new ThreadPool({ workers: 2 });
    const archive = await open(vault, manifest, { threads });
    const bytes = patterned(VOLUME.size, 8);
    await archive.restoreInto(targetOf(bytes, false), countingCall());
    expect(same(bytes, BYTES)).toBe(true);
    const verified = await archive.verify({ level: 'deep', token: 'check' }, countingCall());
    expect(verified).toMatchObject({ packs: 3, confidence: 1 });
    const [first = ''] = await keysOf(vault.bank, 'acme/data/');
    const object = await vault.bank.get(first, { limit: 10_000_000 }, CALL);
    await vault.bank.put(first, flipped(object, 100), { ifAbsent: false, ...CALL });
    await expect(archive.verify({ level: 'tags' }, countingCall())).rejects.toMatchObject({
      code: 'CORRUPT',
    });
  });
});
