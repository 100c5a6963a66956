import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { ThreadPool } from '../../../../src/core/archive/threads/pool.ts';
import { CHUNK_SIZE } from '../../../../src/core/archive/volume/geometry.ts';
import { findManifest, type StoredManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { putDamage } from '../../../../src/core/archive/volume/proofs.ts';
import { writeArchive } from '../../../../src/core/archive/volume/write-archive.ts';
import type { Bank, Extent, VolumeSource } from '../../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../../src/core/errors.ts';
import { vaultOf } from '../vaults.ts';
import { bankWith, countingCall, keysOf, patterned, sourceOf } from '../volumes.ts';
import { archive, openArchive } from './archives.ts';
import { collectIn, type Kept, overwrite, wrongWith } from './collecting.ts';
import { collected, noise, SMALL } from './sparse.ts';
import { watchedBank } from './watched-bank.ts';

const pool = new ThreadPool({ workers: 2 });
afterAll(() => pool.close());

const TINY = { chunkSize: SMALL, packBytes: 600 * 1024 };
const data = (offset: number, length: number): Extent => ({ offset, length, kind: 'data' });
const same = (offset: number, length: number): Extent => ({ offset, length, kind: 'same' });

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

describe('a chain of 40 archives, each based on the one before', () => {
  it('restores at every link, and names few indexes', async () => {
    const { bank, take } = watchedBank();
    const vault = vaultOf(bank);
    let bytes = noise(8 * SMALL + 1, 1);
    let base = await archive(vault, 'a0', sourceOf(bytes), TINY);
    const links: Kept[] = [{ manifest: base, bytes }];
    const lengths: number[] = [];
    for (let link = 1; link <= 40; link += 1) {
      const at = (link % 8) * SMALL;
      bytes = bytes.slice();
      bytes.set(noise(SMALL, link + 1), at);
      const extents = [same(0, at), data(at, SMALL), same(at + SMALL, bytes.length - at - SMALL)];
      const source = sourceOf(
        bytes,
        extents.filter(({ length }) => length > 0),
      );
      const reader = await openArchive(vault, base);
      take();
      base = await archive(vault, `a${link}`, source, { ...TINY, base: reader });
      const counts = take();
      links.push({ manifest: base, bytes });
      lengths.push(base.indexes.length);
      // Its own packs are read back, and the page that the base has is read once, when nothing is merged.
      const isMerged = base.indexes.length < (lengths.at(-2) ?? 0);
      expect(counts['get data'] ?? 0).toBeLessThanOrEqual(isMerged ? 4 : 3);
      expect(counts['get index'] ?? 0).toBeLessThanOrEqual((isMerged ? 3 : 1) * 33);
    }
    expect(Math.max(...lengths)).toBeLessThanOrEqual(33);
    expect(lengths.some((length, at) => length < (lengths[at - 1] ?? 0))).toBe(true);
    for (const link of links) expect(await wrongWith(vault, link)).toBeUndefined();
    // Every other one goes, and what the rest needs stays.
    const live = links.filter((_, at) => at % 2 === 0);
    await collectIn(
      vault,
      live.map(({ manifest }) => manifest),
    );
    for (const link of live) expect(await wrongWith(vault, link)).toBeUndefined();
  });
});

describe('an archive with little memory for what it knows', () => {
  const CHUNKS = 1_100;
  /** A volume that is made as it is read: `change` is the position of a chunk that is another. */
  const generated = (extents: readonly Extent[], change = -1): VolumeSource => {
    const size = CHUNKS * SMALL;
    return sourceOf(new Uint8Array(), extents, {
      size,
      readInto: async (offset, into) => {
        for (let at = 0; at < into.length; at += SMALL) {
          const position = (offset + at) / SMALL;
          into.fill(position % 251, at, at + SMALL);
          new DataView(into.buffer, into.byteOffset + at).setUint32(
            8,
            position === change ? 2 ** 31 : position,
          );
        }
      },
    });
  };
  const KNOWN = { chunkSize: SMALL, packBytes: 2 * 1024 * 1024, knownChunks: 1_024 };

  it('stores again what it cannot remember, and restores', async () => {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const whole = generated([data(0, CHUNKS * SMALL)]);
    const one = await archive(vault, 'one', whole, { ...KNOWN, threads: pool });
    const two = await archive(vault, 'two', whole, { ...KNOWN, threads: pool });
    expect(two.pages).toEqual(one.pages);
    const changed = generated([data(0, SMALL), same(SMALL, (CHUNKS - 1) * SMALL)], 0);
    const based = await archive(vault, 'based', changed, {
      ...KNOWN,
      threads: pool,
      base: await openArchive(vault, two),
    });
    for (const manifest of [one, two, based]) {
      await using reader = await openArchive(vault, manifest);
      await reader.verify({ level: 'deep' }, countingCall());
      const [into, wanted] = [new Uint8Array(SMALL), new Uint8Array(SMALL)];
      for (const position of [0, 1_023, 1_024, 1_099]) {
        await reader.readInto(position * SMALL, into, countingCall());
        await (manifest === based ? changed : whole).readInto(position * SMALL, wanted, countingCall());
        expect(Buffer.compare(into, wanted), `chunk ${position} of ${manifest.token}`).toBe(0);
      }
    }
    await collectIn(vault, [based]);
    await using reader = await openArchive(vault, based);
    await reader.verify({ level: 'deep' }, countingCall());
  });

  const bytes = noise(12 * SMALL, 1);
  const small = { ...TINY, knownChunks: 4 };

  /**
   * An archive whose chunks are in the packs of two, of which a writer remembers those of the second only, and one that is
   * based on it. `hurt` is given the keys of the first's packs of data.
   */
  async function chained(
    kind: Extent['kind'],
    hurt: (bank: Bank, packs: readonly string[]) => Promise<void>,
  ) {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const first = await archive(vault, 'first', sourceOf(bytes), small);
    const packs = await keysOf(bank, 'acme/data/');
    const changed = bytes.slice();
    changed.set(noise(6 * SMALL, 2));
    const second = await archive(
      vault,
      'second',
      sourceOf(changed, [data(0, 6 * SMALL), same(6 * SMALL, 6 * SMALL)]),
      { ...small, base: await openArchive(vault, first) },
    );
    const base = await openArchive(vault, second);
    await hurt(bank, packs);
    const source = sourceOf(changed, [{ offset: 0, length: bytes.length, kind }]);
    const third = await archive(vaultOf(bank), 'third', source, { ...small, base });
    return { vault: vaultOf(bank), second, third: { manifest: third, bytes: changed } };
  }
  const removed = (bank: Bank, packs: readonly string[]): Promise<void> => bank.remove(packs, countingCall());

  it('is right when it reads all of it again, though packs of the base are gone', async () => {
    const { vault, third } = await chained('data', removed);
    expect(await wrongWith(vault, third)).toBeUndefined();
  });

  // Those packs of older archives that this one relies on are there when it ends, also those of indexes that hold more
  // chunks than are remembered.
  it('relies on no pack of its base that is gone', async () => {
    const { vault, third } = await chained('same', removed);
    expect(await wrongWith(vault, third)).toBeUndefined();
  });

  // Nor on one that was found damaged.
  it('relies on no pack of its base that was found damaged', async () => {
    const { vault, third } = await chained('same', async (bank, packs) => {
      const at = '2026-01-01T00:00:00.000Z';
      for (const key of packs) {
        const pack = key.slice(key.lastIndexOf('/') + 1);
        await putDamage(vaultOf(bank), { pack, reason: 'test', at }, countingCall());
        await overwrite(bank, key, new Uint8Array(20));
      }
    });
    expect(await wrongWith(vault, third)).toBeUndefined();
  });

  // A manifest names the indexes that tell where its chunks are.
  it('names the indexes that it needs', async () => {
    const { second, third } = await chained('same', () => Promise.resolve());
    expect([...third.manifest.indexes].sort()).toEqual([...second.indexes].sort());
  });
});

describe('a base that lost an index and a pack', () => {
  // Indexes only save time: an archive on this base finds out that the chunks are gone, and reads them.
  it('costs only the time it would have saved', async () => {
    const bank = memoryBank({ name: 'bank' });
    const vault = vaultOf(bank);
    const bytes = noise(3 * SMALL, 1);
    const base = await openArchive(vault, await archive(vault, 'base', sourceOf(bytes), TINY));
    await bank.remove(await keysOf(bank, 'acme/index/'), countingCall());
    await bank.remove((await keysOf(bank, 'acme/data/')).slice(0, 1), countingCall());
    const source = sourceOf(bytes, [same(0, bytes.length)]);
    const manifest = await archive(vaultOf(bank), 'next', source, { ...TINY, base });
    expect(await wrongWith(vaultOf(bank), { manifest, bytes })).toBeUndefined();
  });
});

describe('an archive by one who may not remove anything', () => {
  const denied = (): Promise<never> => Promise.reject(new FafnirError('ACCESS_DENIED', 'no removing'));
  const stored = (chunks: number): Promise<StoredManifest> => {
    const vault = vaultOf(bankWith(() => ({ remove: denied })));
    const small = { chunkSize: SMALL, packBytes: 550 * 1024 };
    return archive(vault, 'one', sourceOf(noise(chunks * SMALL, 1)), small);
  };

  it('of few packs is stored', async () => {
    expect((await stored(4)).indexes).toHaveLength(1);
  });

  // Correctness needs no more of a bank than put, get and list: one that locks its objects, or takes removals from others
  // only, takes archives of any size.
  it('of more packs than one draft has is stored as well', async () => {
    expect((await stored(40)).indexes).toHaveLength(1);
  });
});

describe('several at once, on threads', () => {
  it('make archives of one token that both restore, of which one counts', async () => {
    const { bank } = watchedBank();
    const bytes = noise(9 * SMALL + 77, 3);
    const request = { token: 'one', source: sourceOf(bytes), threads: pool, ...TINY };
    const made = await Promise.all(
      [0, 1, 2].map(() => writeArchive({ ...request, vault: vaultOf(bank) }, countingCall())),
    );
    const vault = vaultOf(bank);
    for (const manifest of made) expect(await wrongWith(vault, { manifest, bytes })).toBeUndefined();
    const counts = await findManifest(vault, 'one', countingCall());
    expect(made.map(({ digest }) => digest)).toContain(counts?.digest);
    const again = await writeArchive({ ...request, vault }, countingCall());
    expect(again).toEqual(counts);
    for (const manifest of made) {
      await collectIn(vault, [...made]);
      expect(await wrongWith(vault, { manifest, bytes })).toBeUndefined();
    }
    await collectIn(vault, [again]);
    expect(await wrongWith(vault, { manifest: again, bytes })).toBeUndefined();
  });

  it('make archives of one token on one base, while one removes drafts that the other saw', async () => {
    const { bank } = watchedBank();
    const vault = vaultOf(bank);
    const before = noise(2 * SMALL, 1);
    const first = await archive(vault, 'base', sourceOf(before), TINY);
    // So many packs that indexes are written on the way.
    const bytes = noise(40 * SMALL, 2);
    const older = await archive(vault, 'older', sourceOf(new Uint8Array(bytes.length)), TINY);
    const made = await Promise.all(
      [0, 1].map(async (at) => {
        for (let turn = 0; turn < 60 * at; turn += 1) await setImmediate();
        const own = vaultOf(bank);
        const request = {
          token: 'one',
          source: sourceOf(bytes),
          threads: pool,
          ...TINY,
          packBytes: 550 * 1024,
        };
        return writeArchive({ ...request, vault: own, base: await openArchive(own, older) }, countingCall());
      }),
    );
    for (const manifest of made) expect(await wrongWith(vault, { manifest, bytes })).toBeUndefined();
    expect(await wrongWith(vault, { manifest: first, bytes: before })).toBeUndefined();
  });

  it('archive volumes of all kinds', async () => {
    const bank = memoryBank({ name: 'bank' });
    const large = { chunkSize: 4 * CHUNK_SIZE };
    const volumes = [
      [noise(21 * SMALL + 5, 1), TINY],
      [patterned(17 * SMALL, 2), TINY],
      [noise(9 * CHUNK_SIZE + 1, 3), large],
      [noise(4 * CHUNK_SIZE, 4), { ...large, packBytes: 9 * CHUNK_SIZE }],
      [new Uint8Array(0), {}],
      [new Uint8Array(1), {}],
      [Uint8Array.of(7), large],
      [Uint8Array.of(8), TINY],
    ] as const;
    const kept = await Promise.all(
      volumes.map(async ([bytes, more], at): Promise<Kept> => {
        const source = sourceOf(bytes, bytes.length === 0 ? [] : [data(0, bytes.length)]);
        const request = { vault: vaultOf(bank), token: `v${at}`, source, threads: pool, ...more };
        return { bytes, manifest: await writeArchive(request, countingCall()) };
      }),
    );
    for (const one of kept) expect(await wrongWith(vaultOf(bank), one)).toBeUndefined();
    await collectIn(
      vaultOf(bank),
      kept.map(({ manifest }) => manifest),
    );
    for (const one of kept) expect(await wrongWith(vaultOf(bank), one)).toBeUndefined();
  });
});

describe('a volume of 1 TiB with few chunks', () => {
  const SIZE = 2 ** 40;
  const POSITIONS = [0, 1, 4_095, 4_096, 500_000, 1_048_574, 1_048_575];

  function sparse(kinds: Extent['kind']): VolumeSource {
    const extents: Extent[] = [];
    let end = 0;
    for (const position of POSITIONS) {
      const offset = position * CHUNK_SIZE;
      if (offset > end)
        extents.push({ offset: end, length: offset - end, kind: kinds === 'same' ? kinds : 'zero' });
      extents.push({ offset, length: CHUNK_SIZE, kind: kinds });
      end = offset + CHUNK_SIZE;
    }
    return sourceOf(new Uint8Array(), extents, {
      size: SIZE,
      readInto: async (offset, into) => {
        for (let at = 0; at < into.length; at += CHUNK_SIZE) {
          into.set(patterned(CHUNK_SIZE, (offset + at) / CHUNK_SIZE), at);
        }
      },
    });
  }

  it('takes memory and calls for these', async () => {
    const { bank, take } = watchedBank();
    const vault = vaultOf(bank);
    const before = process.memoryUsage();
    const manifest = await archive(vault, 'sparse', sparse('data'));
    const after = process.memoryUsage();
    // The table of known chunks, of which only what is used takes memory, a stripe, a pack of chunks and one of pages.
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(128 * 2 ** 20);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(64 * 2 ** 20);
    expect(manifest.pages).toHaveLength(256);
    expect(sumOf(take())).toBeLessThan(30);
    await using reader = await openArchive(vault, manifest);
    const extents = await collected(reader.extents(countingCall()));
    expect(extents.filter(({ kind }) => kind === 'data').reduce((sum, { length }) => sum + length, 0)).toBe(
      POSITIONS.length * CHUNK_SIZE,
    );
    for (const position of POSITIONS) {
      const into = new Uint8Array(CHUNK_SIZE);
      await reader.readInto(position * CHUNK_SIZE, into, countingCall());
      expect(Buffer.compare(into, patterned(CHUNK_SIZE, position))).toBe(0);
    }
    await reader.verify({ level: 'deep' }, countingCall());
    expect(sumOf(take())).toBeLessThan(100);
    const again = await archive(vault, 'again', sparse('same'), { base: reader });
    expect(again.pages).toEqual(manifest.pages);
    // One key is looked for, two packs are looked at, one manifest is stored.
    expect(sumOf(take())).toBeLessThan(20);
    const done = await collectIn(vault, [again]);
    expect(done).toEqual({
      ...{ manifests: 1, packs: 0, bytes: 0 },
      locked: { objects: 0, bytes: 0 },
    });
    expect(sumOf(take())).toBeLessThan(40);
  });
});
