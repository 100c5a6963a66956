import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { PackHeader } from '../../../../src/core/archive/pack.ts';
import type { Vault } from '../../../../src/core/archive/vault.ts';
import {
  type IndexedPack,
  listIndexes,
  putIndex,
  readIndexes,
} from '../../../../src/core/archive/volume/index-store.ts';
import { countingCall, keysOf } from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { collected } from './sparse.ts';

const CALL = countingCall();

type Entry = { raw: number; stored: number; flags: number };

function headerOf(entries: readonly Entry[]): PackHeader {
  const bytes = randomBytes(entries.length * 44);
  for (const [at, { raw, stored, flags }] of entries.entries()) {
    bytes.writeUInt32LE(raw, at * 44 + 32);
    bytes.writeUInt32LE(stored, at * 44 + 36);
    bytes.writeUInt32LE(flags, at * 44 + 40);
  }
  return new PackHeader(bytes);
}

const packOf = (entries: readonly Entry[]): IndexedPack => ({
  name: randomBytes(16).toString('hex'),
  keyId: randomBytes(8).toString('hex'),
  header: headerOf(entries),
});

async function indexesOf(
  vault: Vault,
  token: string | undefined,
): Promise<{ name: string; packs: unknown }[]> {
  const plain = (pack: IndexedPack): unknown => ({
    ...pack,
    header: Buffer.from(pack.header.bytes).toString('hex'),
  });
  const read = await collected(readIndexes(vault, listIndexes(vault, token, CALL), CALL));
  return read.map(({ name, packs }) => ({ name, packs: packs.map(plain) }));
}

const plain = (packs: readonly IndexedPack[]): unknown =>
  packs.map((pack) => ({ ...pack, header: Buffer.from(pack.header.bytes).toString('hex') }));

const SOUND: Entry = { raw: 10, stored: 26, flags: 0 };

describe('an index', () => {
  it('says again what it was told', async () => {
    const entry = fc.oneof(
      fc.integer({ min: 1, max: 2 ** 22 }).map((raw) => ({ raw, stored: raw + 16, flags: 0 })),
      fc
        .record({ raw: fc.integer({ min: 1, max: 2 ** 22 }), stored: fc.integer({ min: 17, max: 2 ** 22 }) })
        .map((lengths) => ({ ...lengths, flags: 1 })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(entry, { maxLength: 5 }), { maxLength: 5 }), async (all) => {
        const vault = vaultOf(memoryBank({ name: 'bank' }));
        const packs = all.map(packOf);
        const name = await putIndex(vault, 'volume', packs, CALL);
        expect(name).toMatch(/^volume\/[0-9a-f]{32}$/);
        expect(await indexesOf(vault, 'volume')).toEqual([{ name, packs: plain(packs) }]);
      }),
      { numRuns: 40 },
    );
  });

  it('is below its token, and only there', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const packs = [packOf([SOUND])];
    const names = [await putIndex(vault, 'a', packs, CALL), await putIndex(vault, 'a', packs, CALL)];
    await putIndex(vault, 'ab', packs, CALL);
    expect((await indexesOf(vault, 'a')).map(({ name }) => name)).toEqual(names.sort());
    expect(await indexesOf(vault, undefined)).toHaveLength(3);
  });

  it.each<[string, (content: Buffer) => Uint8Array]>([
    ['is cut off', (content) => content.subarray(0, content.length - 1)],
    ['goes on', (content) => Buffer.concat([content, Buffer.alloc(1)])],
    ['is empty', () => Buffer.alloc(0)],
    ['promises more packs', (content) => put(content, 0, 2)],
    ['promises four thousand million packs', (content) => put(content, 0, 0xffffffff)],
    ['promises more chunks', (content) => put(content, 28, 2)],
    ['promises four thousand million chunks', (content) => put(content, 28, 0xffffffff)],
    ['has a chunk of no bytes', (content) => put(content, 64, 0)],
    ['has a chunk too large', (content) => put(put(content, 64, 2 ** 22 + 1), 68, 2 ** 22 + 17)],
    ['has a chunk that is stored in too few bytes', (content) => put(content, 68, 25)],
    ['has a chunk with unknown flags', (content) => put(content, 72, 2)],
    ['has a compressed chunk that is too large', (content) => put(put(content, 72, 1), 68, 0xffffffff)],
  ])('is passed over, and told of, where it %s', async (_, change) => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const key = `acme/index/${await putIndex(vault, 'volume', [packOf([SOUND])], CALL)}`;
    const content = Buffer.from(await vault.get(key, 1_000_000, CALL));
    await vault.bank.remove([key], CALL);
    await vault.put(key, change(content), CALL);
    const sound = await putIndex(vault, 'volume', [packOf([SOUND])], CALL);
    const refused: [string, unknown][] = [];
    const refuse = (key: string, error: unknown) => void refused.push([key, error]);
    const names = listIndexes(vault, 'volume', CALL);
    const read = await collected(readIndexes(vault, names, CALL, refuse));
    expect(read.map(({ name }) => name)).toEqual([sound]);
    expect(refused).toEqual([[key, expect.objectContaining({ code: 'CORRUPT' })]]);
  });

  it('is passed over where it does not open or is another one', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const key = `acme/index/${await putIndex(vault, 'volume', [packOf([SOUND])], CALL)}`;
    const object = await vault.bank.get(key, { limit: 1_000_000 }, CALL);
    const elsewhere = `acme/index/other/${key.slice(-32)}`;
    await vault.bank.put(elsewhere, object, { ifAbsent: true, ...CALL });
    expect(await indexesOf(vault, 'other')).toEqual([]);
    expect(await keysOf(vault.bank, 'acme/index/other/')).toEqual([elsewhere]);
  });

  it('that is gone is sought below its token, for it may have been written anew', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const [gone, anew] = [
      randomBytes(16).toString('hex'),
      await putIndex(vault, 'a', [packOf([SOUND])], CALL),
    ];
    await putIndex(vault, 'b', [packOf([SOUND])], CALL);
    const read = await collected(readIndexes(vault, [`a/${gone}`], CALL));
    expect(read.map(({ name }) => name)).toEqual([anew]);
  });

  it('is refused where no reader would take it', async () => {
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const pack = { ...packOf([]), header: new PackHeader(new Uint8Array(44 * 60_000)) };
    const put = putIndex(
      vault,
      'volume',
      Array.from({ length: 26 }, () => pack),
      CALL,
    );
    await expect(put).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(await keysOf(vault.bank, 'acme/index/')).toEqual([]);
  });
});

function put(content: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(content);
  changed.writeUInt32LE(value, at);
  return changed;
}
