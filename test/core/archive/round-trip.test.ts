import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { CHUNK_SIZE } from '../../../src/core/archive/chunks.ts';
import { PAGE_CHUNKS } from '../../../src/core/archive/manifest.ts';
import { ArchiveReader } from '../../../src/core/archive/read-archive.ts';
import { writeArchive } from '../../../src/core/archive/write-archive.ts';
import type { Bank, VolumeSource } from '../../../src/core/contracts/index.ts';
import { ACME, anySize, countingCall, keysOf, patterned, sourceOf, targetOf, volumeOf } from './volumes.ts';

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

async function archived(bank: Bank, source: VolumeSource): Promise<ArchiveReader> {
  const { digest } = await writeArchive({ bank, tenant: ACME, token: 'volume', source }, countingCall());
  return ArchiveReader.open(bank, ACME, { token: 'volume', digest }, countingCall());
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
        const bank = memoryBank({ name: 'bank' });
        const write = countingCall();
        const common = { bank, tenant: ACME };
        const base = await writeArchive(
          { ...common, token: 'first', source: sourceOf(first.bytes, first.extents) },
          write,
        );
        expect(write.bytes()).toBe(first.bytes.length);
        const { digest } = await writeArchive(
          { ...common, token: 'second', source: sourceOf(second.bytes, second.extents), base },
          write,
        );
        expect(write.bytes()).toBe(2 * first.bytes.length);
        for (const [reference, { bytes }] of [
          [{ token: 'first', digest: base.digest }, first],
          [{ token: 'second', digest }, second],
        ] as const) {
          const call = countingCall();
          await using archive = await ArchiveReader.open(bank, ACME, reference, call);
          const restored = new Uint8Array(bytes.length).fill(blank ? 0 : 0xaa);
          const target = targetOf(restored, blank);
          const written = await archive.restoreInto(target, call);
          expect(equal(restored, bytes)).toBe(true);
          expect(call.bytes()).toBe(bytes.length);
          expect(written + (blank ? 0 : target.zeroed())).toBeLessThanOrEqual(bytes.length);
          if (blank) expect(target.zeroed()).toBe(0);
          else expect(written + target.zeroed()).toBe(bytes.length);
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
    await using archive = await archived(bank, sourceOf(bytes));
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
            await archive.readInto(start, into, countingCall());
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
    await using archive = await archived(bank, source);
    for (const [offset, length] of [
      [-1, 2],
      [0, 1_001],
      [1_000, 1],
      [1_001, 0],
    ] as const) {
      const read = archive.readInto(offset, new Uint8Array(length), countingCall());
      await expect(read, `${length} bytes at ${offset}`).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    }
    await archive.readInto(1_000, new Uint8Array(0), countingCall());
  });

  it.each([0.5, Number.NaN])('refuses a range that begins at %s', async (offset) => {
    const bank = memoryBank({ name: 'bank' });
    const source = sourceOf(patterned(1_000, 1));
    await using archive = await archived(bank, source);
    const read = archive.readInto(offset, new Uint8Array(1), countingCall());
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
    const bank = memoryBank({ name: 'bank' });
    const base = await writeArchive({ bank, tenant: ACME, token: 'large', source }, countingCall());
    expect(base.pages).toHaveLength(2);
    const same = {
      ...source,
      extents: async function* () {
        yield { offset: 0, length: size, kind: 'same' } as const;
      },
    };
    const again = await writeArchive(
      { bank, tenant: ACME, token: 'again', source: same, base },
      countingCall(),
    );
    expect(again).toEqual(base);
    await using archive = await ArchiveReader.open(
      bank,
      ACME,
      { token: 'again', digest: again.digest },
      countingCall(),
    );
    const into = new Uint8Array(CHUNK_SIZE + 107).fill(0xaa);
    await archive.readInto(zeros - 100, into, countingCall());
    expect(equal(into, Buffer.concat([Buffer.alloc(100), tail]))).toBe(true);
    const extents: { offset: number; length: number; kind: string }[] = [];
    for await (const extent of archive.extents(countingCall())) extents.push(extent);
    expect(extents.reduce((end, { offset, length }) => (offset === end ? end + length : Number.NaN), 0)).toBe(
      size,
    );
    expect(extents.filter(({ kind }) => kind === 'data').map(({ offset }) => offset)).toEqual([
      zeros,
      zeros + CHUNK_SIZE,
    ]);
  });

  it('stores equal chunks of a tenant once, and never shares them between tenants', async () => {
    const bank = memoryBank({ name: 'bank' });
    const bytes = patterned(CHUNK_SIZE, 5);
    const source = sourceOf(Buffer.concat([bytes, bytes]));
    await writeArchive({ bank, tenant: ACME, token: 'one', source }, countingCall());
    await writeArchive({ bank, tenant: ACME, token: 'two', source }, countingCall());
    expect(await keysOf(bank, 'acme/chunks/')).toHaveLength(1);
    expect(await keysOf(bank, '')).toEqual(await keysOf(bank, 'acme/'));
  });
});
