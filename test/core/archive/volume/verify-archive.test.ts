import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { zstdDecompressSync } from 'node:zlib';
import { PackBuilder } from '../../../../src/core/archive/pack-builder.ts';
import { PackHeader } from '../../../../src/core/archive/pack.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import { putIndex } from '../../../../src/core/archive/volume/index-store.ts';
import { putManifest } from '../../../../src/core/archive/volume/manifest.ts';
import { ArchiveReader } from '../../../../src/core/archive/volume/read-archive.ts';
import type { Verified, VerifyOptions } from '../../../../src/core/archive/volume/verify-archive.ts';
import type { Bank } from '../../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../../src/core/errors.ts';
import { flipped } from '../data-keys.ts';
import { bankWith, countingCall, keysOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { cloningThreads } from './cloning-threads.ts';
import { SMALL, sparseVolume } from './sparse.ts';
import { packKey, type SparseVolume, type WriteOptions, type WrittenArchive, writeVolume } from './write.ts';

const CALL = countingCall();
const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
const VOLUME = sparseVolume(9 * SMALL + 77, SMALL, { 0: 1, 1: 2, 3: 3, 4: 1, 7: 4, 8: 1, 9: 5 });

interface World extends WrittenArchive {
  readonly vault: Vault;
  readonly bank: Bank;
  verify(options?: Partial<VerifyOptions>, call?: ReturnType<typeof countingCall>): Promise<Verified>;
}

async function world(
  volume: SparseVolume = VOLUME,
  options: WriteOptions = {},
  bank: Bank = memoryBank({ name: 'bank' }),
): Promise<World> {
  const vault = vaultOf(bank);
  const written = await writeVolume(vault, 'volume', volume, options);
  return {
    ...written,
    vault,
    bank,
    verify: async (options = {}, call = countingCall()) => {
      const parts = { threads: cloningThreads(), clock: { now: () => AT } };
      const archive = await ArchiveReader.open(vault, written.manifest, parts, CALL);
      return archive.verify({ level: 'deep', ...options }, call);
    },
  };
}

/** A volume of so many chunks that are all different. */
const full = (chunks: number): SparseVolume =>
  sparseVolume(
    chunks * SMALL,
    SMALL,
    Object.fromEntries(Array.from({ length: chunks }, (_, at) => [at, at])),
  );

async function spoil({ bank, vault }: World, name: string, bit = 9): Promise<void> {
  const key = packKey(vault, name);
  const object = await bank.get(key, { limit: 100_000_000 }, CALL);
  await bank.put(key, flipped(object, bit), { ifAbsent: false, ...CALL });
}

async function recordAt(vault: Vault, key: string): Promise<unknown> {
  return JSON.parse(zstdDecompressSync(await vault.get(key, 1_000_000, CALL)).toString());
}

/** Tells which packs were read. */
const readPacks =
  (gets: string[]) =>
  (sound: Bank): Partial<Bank> => ({
    get: (key, read, call) => {
      if (key.includes('/data/') && 'limit' in read) gets.push(key.slice(-32));
      return sound.get(key, read, call);
    },
  });

describe('verifying', () => {
  it.each(['tags', 'deep'] as const)(
    'reads every pack once and tells how much that was: %s',
    async (level) => {
      const gets: string[] = [];
      const sound = await world(VOLUME, {}, bankWith(readPacks(gets)));
      const call = countingCall();
      const verified = await sound.verify({ level }, call);
      const sizes = await Promise.all(
        sound.packs.map(
          async ({ name }) => (await sound.bank.head(packKey(sound.vault, name), CALL))?.size ?? 0,
        ),
      );
      expect(verified).toEqual({
        packs: 3,
        chunks: 6,
        bytes: sizes.reduce((sum, size) => sum + size),
        confidence: 1,
        damaged: [],
      });
      expect(gets.sort()).toEqual(sound.packs.map(({ name }) => name).sort());
      expect(call.bytes()).toBe(VOLUME.size);
      // Nothing is kept without a token.
      expect(await keysOf(sound.bank, 'acme/proofs/')).toEqual([]);
    },
  );

  it('finds any bit that is changed in a pack', async () => {
    const sound = await world();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sound.packs.map(({ name }) => name)),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        fc.constantFrom('tags' as const, 'deep' as const),
        async (name, where, nearEnd, level) => {
          const key = packKey(sound.vault, name);
          const object = await sound.bank.get(key, { limit: 100_000_000 }, CALL);
          const bits = object.length * 8;
          const bit = nearEnd ? bits - 1 - Math.floor(where * 300 * 8) : Math.floor(where * (bits - 1));
          await spoil(sound, name, bit);
          const failure = { code: 'CORRUPT', message: expect.stringContaining(name) };
          // What is still readable of it keeps the archive restorable; the pack is told of either way.
          const verified = await sound.verify({ level }).catch((error: unknown) => error);
          if (FafnirError.is(verified)) expect(verified).toMatchObject(failure);
          else expect(verified).toMatchObject({ damaged: [name] });
          expect(await keysOf(sound.bank, 'acme/damage/')).toEqual([`acme/damage/${name}`]);
          await sound.bank.remove([`acme/damage/${name}`], CALL);
          await sound.bank.put(key, object, { ifAbsent: false, ...CALL });
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each<[string, (object: Uint8Array) => Uint8Array]>([
    ['shorter', (object) => object.subarray(0, object.length - 1)],
    ['longer', (object) => Buffer.concat([object, Buffer.alloc(1)])],
    ['empty', () => new Uint8Array()],
  ])('finds a pack that is %s', async (_, change) => {
    const sound = await world();
    const name = sound.packs[0]?.name ?? '';
    const key = packKey(sound.vault, name);
    const object = await sound.bank.get(key, { limit: 100_000_000 }, CALL);
    await sound.bank.put(key, change(object), { ifAbsent: false, ...CALL });
    const verified = await sound.verify().catch((error: unknown) => error);
    const told = FafnirError.is(verified) ? verified.message : JSON.stringify(verified);
    expect(told).toContain(name);
    expect(await keysOf(sound.bank, 'acme/damage/')).toEqual([`acme/damage/${name}`]);
  });

  it('names all damaged packs, up to ten, and records each before it ends', async () => {
    const sound = await world(full(13), { inPack: 1 });
    const names = sound.packs.slice(0, 12).map(({ name }) => name);
    for (const name of names) await spoil(sound, name);
    await sound.bank.remove([packKey(sound.vault, names[11] ?? '')], CALL);
    const failure = await sound.verify().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('archive volume in bank bank'),
    });
    const message = FafnirError.is(failure) ? failure.message : '';
    expect(names.filter((name) => message.includes(name))).toHaveLength(10);
    expect(message).toContain('and 2 more');
    const records = await keysOf(sound.bank, 'acme/damage/');
    expect(records).toEqual(names.map((name) => `acme/damage/${name}`).sort());
    expect(await recordAt(sound.vault, `acme/damage/${names[0]}`)).toEqual({
      format: 1,
      kind: 'damage',
      pack: names[0],
      reason: expect.stringContaining(names[0] ?? ''),
      at: '2026-01-02T03:04:05.000Z',
    });
  });

  it('is NOT_FOUND where all that is wrong is that packs are gone, and does not ask for them again and again', async () => {
    let asked = 0;
    let name = 'none yet';
    const bank = bankWith((sound) => ({
      get: (key, read, call) => {
        if (key.endsWith(name)) asked += 1;
        return sound.get(key, read, call);
      },
    }));
    const sound = await world(full(12), { inPack: 12 }, bank);
    name = sound.packs[0]?.name ?? '';
    await sound.bank.remove([packKey(sound.vault, name)], CALL);
    const failure = { code: 'NOT_FOUND', message: expect.stringContaining(name) };
    await expect(sound.verify()).rejects.toMatchObject(failure);
    expect(asked).toBe(1);
  });

  it('records a damaged pack of pages too, and still looks at the others', async () => {
    const sound = await world(VOLUME, { inPack: 1 });
    const [page, data] = [sound.packs.at(-1)?.name ?? '', sound.packs[0]?.name ?? ''];
    await spoil(sound, page);
    await spoil(sound, data);
    await expect(sound.verify()).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(page),
    });
    expect(await keysOf(sound.bank, 'acme/damage/')).toContain(`acme/damage/${page}`);
  });

  it('looks at the bank, not at what was read of it before', async () => {
    const sound = await world(VOLUME, { inPack: 1 });
    const archive = await ArchiveReader.open(
      sound.vault,
      sound.manifest,
      { threads: cloningThreads() },
      CALL,
    );
    await archive.readInto(0, new Uint8Array(1), CALL);
    const page = sound.packs.at(-1)?.name ?? '';
    await spoil(sound, page);
    const verified = archive.verify({ level: 'tags' }, countingCall());
    await expect(verified).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(page) });
    await spoil(sound, page);
    await expect(archive.verify({ level: 'deep' }, countingCall())).resolves.toMatchObject({ damaged: [] });
  });

  it('succeeds where all of a damaged pack is to be had elsewhere, and tells of it', async () => {
    const sound = await world(VOLUME, { times: 2 });
    // Whichever of the two it is that a reader prefers.
    for (const { name } of sound.packs.slice(0, sound.packs.length / 2)) await spoil(sound, name);
    const { damaged } = await sound.verify();
    for (const name of damaged) expect(await sound.bank.head(`acme/damage/${name}`, CALL)).toBeDefined();
    for (const { name } of sound.packs.slice(sound.packs.length / 2)) await spoil(sound, name);
    await expect(sound.verify()).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('finds a pack that is another than an index says', async () => {
    const sound = await world(full(4), { inPack: 4, inIndex: 1 });
    const [pack, pages] = sound.packs;
    if (pack === undefined || pages === undefined) return expect.unreachable();
    // The ids of two chunks, the one for the other.
    const bytes = Buffer.from(pack.header.bytes);
    bytes.set(pack.header.bytes.subarray(44, 44 + 32), 0);
    bytes.set(pack.header.bytes.subarray(0, 32), 44);
    await sound.bank.remove(sound.indexes, CALL);
    await putIndex(sound.vault, 'volume', [{ ...pack, header: new PackHeader(bytes) }, pages], CALL);
    const failure = { code: 'CORRUPT', message: expect.stringContaining(pack.name) };
    await expect(sound.verify({ level: 'tags' })).rejects.toMatchObject(failure);
  });

  it('tells a chunk that is not what its id says, which no tag tells', async () => {
    const sound = await world(sparseVolume(SMALL, SMALL, { 0: 1 }), { inPack: 1 });
    const [data, page] = sound.packs;
    const [entry] = data?.header.chunks() ?? [];
    if (data === undefined || page === undefined || entry === undefined) return expect.unreachable();
    // A pack made by one who has the keys and is mistaken.
    const builder = new PackBuilder(await sound.vault.sealingKey(CALL), new ArrayBuffer(2 * SMALL));
    builder.add(entry.id, new Uint8Array(SMALL).fill(9));
    const { name, keyId, body, entries } = builder.finish();
    await sound.bank.put(packKey(sound.vault, name), body.slice(), { ifAbsent: true, ...CALL });
    await sound.bank.remove([...sound.indexes, packKey(sound.vault, data.name)], CALL);
    await putIndex(sound.vault, 'volume', [{ name, keyId, header: new PackHeader(entries) }, page], CALL);
    await expect(sound.verify({ level: 'tags' })).resolves.toMatchObject({ packs: 2, damaged: [] });
    await expect(sound.verify({ level: 'deep' })).rejects.toMatchObject({ code: 'CORRUPT' });
    const archive = await ArchiveReader.open(
      sound.vault,
      sound.manifest,
      { threads: cloningThreads() },
      CALL,
    );
    await expect(archive.readInto(0, new Uint8Array(1), CALL)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('is NOT_FOUND for a chunk that is nowhere', async () => {
    const sound = await world(VOLUME, { inPack: 1 });
    const name = sound.packs[0]?.name ?? '';
    await sound.bank.remove([packKey(sound.vault, name), ...sound.indexes], CALL);
    await expect(sound.verify()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('throws what damage it found rather than that the bank does not take a record of it', async () => {
    const sound = await world(
      VOLUME,
      {},
      bankWith((sound) => ({
        put: (key, body, options) =>
          key.includes('/damage/')
            ? Promise.reject(new FafnirError('ACCESS_DENIED', 'read only'))
            : sound.put(key, body, options),
      })),
    );
    await spoil(sound, sound.packs[0]?.name ?? '');
    await expect(sound.verify()).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});

describe('a sample', () => {
  it('has the confidence that its size gives', async () => {
    const sound = await world(full(149), { inPack: 1 });
    expect(sound.packs).toHaveLength(150);
    // Two of 150 would be bad: 1 − (148/150 · 147/149 · …).
    const missed = ((150 - 30) * (149 - 30)) / (150 * 149);
    const { packs, confidence } = await sound.verify({ level: 'tags', sample: 0.2 });
    expect(packs).toBe(30);
    expect(confidence).toBeCloseTo(1 - missed, 10);
  });

  it('picks packs by chance, and under a token always the same', async () => {
    const gets: string[] = [];
    const sound = await world(full(19), { inPack: 1 }, bankWith(readPacks(gets)));
    const pick = async (token?: string): Promise<string> => {
      gets.length = 0;
      const verified = await sound.verify({
        level: 'tags',
        sample: 0.5,
        ...(token === undefined ? {} : { token }),
      });
      expect(verified.packs).toBe(10);
      const proofs = await keysOf(sound.bank, 'acme/proofs/');
      await sound.bank.remove(proofs, CALL);
      return gets.toSorted().join(' ');
    };
    expect(await pick('one')).toBe(await pick('one'));
    const picks = new Set([await pick('one'), await pick('two'), await pick(), await pick(), await pick()]);
    expect(picks.size).toBeGreaterThan(3);
  });

  it.each([0, -1, 1.5, Number.NaN])('of %s is refused', async (sample) => {
    const sound = await world();
    await expect(sound.verify({ sample })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});

describe('a verification that was interrupted', () => {
  it('goes on from what it proved', async () => {
    const gets: string[] = [];
    let stored = 0;
    const bank = bankWith((sound) => ({
      ...readPacks(gets)(sound),
      put: async (key, body, options) => {
        const answer = await sound.put(key, body, options);
        if (key.includes('/proofs/')) stored += 1;
        return answer;
      },
    }));
    const sound = await world(full(199), { inPack: 1 }, bank);
    const aborted = new AbortController();
    const stopping = {
      ...countingCall(aborted.signal),
      progress: () => {
        if (stored === 2) aborted.abort(new Error('enough'));
      },
    };
    await expect(sound.verify({ level: 'deep', token: 'check' }, stopping)).rejects.toThrow('enough');
    const proofs = await keysOf(sound.bank, 'acme/proofs/check/');
    expect(proofs).toHaveLength(2);
    expect(await recordAt(sound.vault, proofs[0] ?? '')).toEqual({
      format: 1,
      kind: 'proof',
      level: 'deep',
      at: '2026-01-02T03:04:05.000Z',
      packs: expect.objectContaining({ length: 64 }),
    });
    stored = 0;
    gets.length = 0;
    const again = countingCall();
    const verified = await sound.verify({ level: 'tags', token: 'check' }, again);
    expect(verified).toMatchObject({ packs: 200, chunks: 72, confidence: 1 });
    expect(gets).toHaveLength(72);
    expect(again.bytes()).toBe(199 * SMALL);
    gets.length = 0;
    // What was only proven by tags is read again.
    expect(await sound.verify({ level: 'deep', token: 'check' })).toMatchObject({ packs: 200, chunks: 72 });
    // And under another token everything.
    expect(await sound.verify({ level: 'deep', token: 'other' })).toMatchObject({ chunks: 200 });
  });

  it('reads packs again that were found damaged since, and those of a proof that does not open', async () => {
    const sound = await world(VOLUME);
    await sound.verify({ token: 'check' });
    expect(await sound.verify({ token: 'check' })).toMatchObject({ packs: 3, chunks: 0 });
    const name = sound.packs[0]?.name ?? '';
    await sound.vault.put(`acme/damage/${name}`, new Uint8Array(1), CALL);
    expect(await sound.verify({ token: 'check' })).toMatchObject({ packs: 3, chunks: 3 });
    await sound.bank.remove([`acme/damage/${name}`], CALL);
    for (const key of await keysOf(sound.bank, 'acme/proofs/')) {
      await sound.bank.put(key, new Uint8Array(100), { ifAbsent: false, ...CALL });
    }
    expect(await sound.verify({ token: 'check' })).toMatchObject({ packs: 3, chunks: 6 });
  });

  it('has nothing under way afterwards', async () => {
    let underWay = 0;
    const sound = await world(
      full(20),
      { inPack: 2 },
      bankWith((sound) => ({
        get: async (key, read, call) => {
          underWay += 1;
          await new Promise((resolve) => setImmediate(resolve));
          return sound.get(key, read, call).finally(() => {
            underWay -= 1;
          });
        },
      })),
    );
    const aborted = new AbortController();
    const call = { ...countingCall(aborted.signal), progress: () => aborted.abort(new Error('enough')) };
    await expect(sound.verify({}, { ...call, bytes: () => 0 })).rejects.toThrow('enough');
    expect(underWay).toBe(0);
  });
});

describe('a manifest that names a page which nobody has', () => {
  it('is not verified', async () => {
    const sound = await world();
    const pages = ['a'.repeat(64)];
    const manifest = await putManifest(sound.vault, 'mistaken', { ...sound.manifest, pages }, CALL);
    const archive = await ArchiveReader.open(sound.vault, manifest, { threads: cloningThreads() }, CALL);
    await expect(archive.verify({ level: 'tags' }, countingCall())).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
