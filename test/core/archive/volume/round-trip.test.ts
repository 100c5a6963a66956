import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../../src/banks/memory.ts';
import { CHUNK_SIZE, PAGE_CHUNKS } from '../../../../src/core/archive/volume/geometry.ts';
import type { ArchiveReader } from '../../../../src/core/archive/volume/read-archive.ts';
import type { Bank, VolumeSource } from '../../../../src/core/contracts/index.ts';
import { parseTenantId } from '../../../../src/core/identity.ts';
import {
  anySize,
  bankWith,
  countingCall,
  keysOf,
  patterned,
  sourceOf,
  targetOf,
  volumeOf,
} from '../volumes.ts';
import { vaultOf } from '../vaults.ts';
import { archive, openArchive } from './archives.ts';

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

async function archived(bank: Bank, source: VolumeSource): Promise<ArchiveReader> {
  const vault = vaultOf(bank);
  return openArchive(vault, await archive(vault, 'volume', source));
}

const generation = anySize.chain((size) =>
  volumeOf(size, undefined).chain((first) =>
    volumeOf(size, first.bytes).map((second) => [first, second] as const),
  ),
);

describe('an archive', () => {
  it('restores the bytes it was made of, and so does one that is based on it', async () => {
    await fc.assert(
      fc.asyncProperty(generation, fc.boolean(), async ([first, second], blank) => {
        const vault = vaultOf(memoryBank({ name: 'bank' }));
        const write = countingCall();
        const source = sourceOf(first.bytes, first.extents);
        const base = await archive(vault, 'first', source, {}, write);
        expect(write.bytes()).toBe(first.bytes.length);
        const changed = sourceOf(second.bytes, second.extents);
        const incremental = await archive(
          vault,
          'second',
          changed,
          { base: await openArchive(vault, base) },
          write,
        );
        expect(write.bytes()).toBe(2 * first.bytes.length);
        for (const [manifest, { bytes }] of [
          [base, first],
          [incremental, second],
        ] as const) {
          const call = countingCall();
          await using reader = await openArchive(vault, manifest);
          const restored = new Uint8Array(bytes.length).fill(blank ? 0 : 0xaa);
          const target = targetOf(restored, blank);
          const written = await reader.restoreInto(target, call);
          expect(equal(restored, bytes)).toBe(true);
          expect(call.bytes()).toBe(bytes.length);
          expect(written + target.zeroed()).toBeLessThanOrEqual(bytes.length);
          if (blank) expect(target.zeroed()).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('reads any range, also several at once', async () => {
    const size = 3 * CHUNK_SIZE + 12_345;
    const bytes = patterned(size, 1);
    bytes.fill(0, CHUNK_SIZE, 2 * CHUNK_SIZE);
    const bank = memoryBank({ name: 'bank' });
    await using reader = await archived(bank, sourceOf(bytes));
    const border = fc
      .tuple(fc.nat({ max: 3 }), fc.integer({ min: -3, max: 3 }))
      .map(([at, off]) => Math.max(0, at * CHUNK_SIZE + off));
    const offset = fc.oneof(border, fc.nat({ max: size }));
    const range = fc.tuple(offset, offset).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 4 }), async (ranges) => {
        await Promise.all(
          ranges.map(async ([start, end]) => {
            const into = new Uint8Array(end - start).fill(0xaa);
            await reader.readInto(start, into, countingCall());
            expect(equal(into, bytes.subarray(start, end))).toBe(true);
          }),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('refuses ranges that are not inside it', async () => {
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(patterned(1_000, 1));
    await using reader = await archived(bank, source);
    for (const [offset, length] of [
      [-1, 2],
      [0, 1_001],
      [1_000, 1],
      [1_001, 0],
    ] as const) {
      const read = reader.readInto(offset, new Uint8Array(length), countingCall());
      await expect(read, `${length} bytes at ${offset}`).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    }
    await reader.readInto(1_000, new Uint8Array(0), countingCall());
  });

  it.each([0.5, Number.NaN])('refuses a range that begins at %s', async (offset) => {
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(patterned(1_000, 1));
    await using reader = await archived(bank, source);
    const read = reader.readInto(offset, new Uint8Array(1), countingCall());
    await expect(read).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
  });

  it('of more chunks than a page has ends with the bytes after the border', async () => {
    const zeros = PAGE_CHUNKS * CHUNK_SIZE;
    const size = zeros + CHUNK_SIZE + 7;
    const tail = patterned(CHUNK_SIZE + 7, 3);
    const source = sourceOf(
      tail,
      [
        { offset: 0, length: zeros - 5, kind: 'zero' },
        { offset: zeros - 5, length: 5, kind: 'zero' },
        { offset: zeros, length: CHUNK_SIZE + 7, kind: 'data' },
      ],
      {
        size,
        readInto: async (offset, into) =>
          into.set(tail.subarray(offset - zeros, offset - zeros + into.length)),
      },
    );
    const vault = vaultOf(memoryBank({ name: 'bank' }));
    const base = await archive(vault, 'large', source);
    expect(base.pages).toHaveLength(2);
    const same = {
      ...source,
      extents: async function* () {
        yield { offset: 0, length: size, kind: 'same' } as const;
      },
    };
    const again = await archive(vault, 'again', same, { base: await openArchive(vault, base) });
    expect(again.pages).toEqual(base.pages);
    await using reader = await openArchive(vault, again);
    const into = new Uint8Array(CHUNK_SIZE + 107).fill(0xaa);
    await reader.readInto(zeros - 100, into, countingCall());
    expect(equal(into, Buffer.concat([Buffer.alloc(100), tail]))).toBe(true);
    const extents: { offset: number; length: number; kind: string }[] = [];
    for await (const extent of reader.extents(countingCall())) extents.push(extent);
    expect(extents.reduce((end, { offset, length }) => (offset === end ? end + length : Number.NaN), 0)).toBe(
      size,
    );
    expect(extents.filter(({ kind }) => kind === 'data')).toEqual([
      { offset: zeros, length: CHUNK_SIZE + 7, kind: 'data' },
    ]);
  });

  it('stores equal chunks of a tenant once, and never shares them between tenants', async () => {
    const bank = memoryBank({ name: 'bank' });
    const chunk = new Uint8Array(randomBytes(CHUNK_SIZE));
    const source = sourceOf(Buffer.concat([chunk, chunk]));
    const bytesOf = async (tenant: string): Promise<number> => {
      let bytes = 0;
      for await (const { size } of bank.list(`${tenant}/data/`, countingCall())) bytes += size;
      return bytes;
    };
    await archive(vaultOf(bank), 'one', source);
    await archive(vaultOf(bank), 'two', source);
    expect(await bytesOf('acme')).toBeLessThan(1.1 * CHUNK_SIZE);
    await archive(vaultOf(bank, parseTenantId('other')), 'three', source);
    expect(await bytesOf('other')).toBeGreaterThan(CHUNK_SIZE);
    expect(await keysOf(bank, '')).toEqual([
      ...(await keysOf(bank, 'acme/')),
      ...(await keysOf(bank, 'other/')),
    ]);
  });

  it('is the same after any interruption', async () => {
    const interruption = fc.nat({ max: 60 });
    await fc.assert(
      fc.asyncProperty(generation, fc.array(interruption, { maxLength: 4 }), async ([first, second], at) => {
        const bank = memoryBank({ name: 'bank' });
        // Fails at the nth call after each interruption, before or after its effect.
        let left = Number.POSITIVE_INFINITY;
        const check = async <Result>(effect: () => Promise<Result>): Promise<Result> => {
          left -= 1;
          if (left === 0) throw new Error('killed before');
          const result = await effect();
          left -= 1;
          if (left === 0) throw new Error('killed after');
          return result;
        };
        const dying = bankWith(
          (sound) => ({
            put: (key, body, options) => check(() => sound.put(key, body, options)),
            get: (key, read, call) => check(() => sound.get(key, read, call)),
            remove: (keys, call) => check(() => sound.remove(keys, call)),
          }),
          bank,
        );
        const vault = vaultOf(dying);
        const options = { chunkSize: 256 * 1024, packBytes: 600 * 1024 };
        const base = await archive(vault, 'first', sourceOf(first.bytes, first.extents), options);
        const again = async () => {
          const more = { ...options, base: await openArchive(vaultOf(bank), base) };
          return archive(vault, 'second', sourceOf(second.bytes, second.extents), more);
        };
        for (const calls of at) {
          left = calls;
          await again().catch(() => undefined);
        }
        left = Number.POSITIVE_INFINITY;
        const stored = await again();
        await using reader = await openArchive(vault, stored);
        const restored = new Uint8Array(second.bytes.length);
        await reader.restoreInto(targetOf(restored, true), countingCall());
        expect(equal(restored, second.bytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});
