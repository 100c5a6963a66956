import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Block, Extent, SequentialSource, VolumeTarget } from '../../src/core/contracts/index.ts';
import { digestOf, digestOfEqual, readable, writeInto } from '../../src/strategies/cinder-backup/bytes.ts';

const call = { signal: new AbortController().signal, progress: (): void => undefined };
const MIB = 2 ** 20;
const SIZE = 21 * MIB + 512;
/** Data with holes around it, none of which ends where a piece does. */
const EXTENTS: readonly Extent[] = [
  { offset: 0, length: 9 * MIB + 3, kind: 'zero' },
  { offset: 9 * MIB + 3, length: MIB, kind: 'data' },
  { offset: 10 * MIB + 3, length: 11 * MIB, kind: 'zero' },
  { offset: 21 * MIB + 3, length: 509, kind: 'data' },
];

function volume(): Buffer {
  const bytes = Buffer.alloc(SIZE);
  for (const { offset, length, kind } of EXTENTS) if (kind === 'data') bytes.fill(7, offset, offset + length);
  return bytes;
}

function targetOf(bytes: Buffer, extents?: readonly Extent[]): VolumeTarget {
  return {
    size: bytes.length,
    blank: false,
    write: async (offset, data) => bytes.set(data, offset),
    zero: async (offset, length) => {
      bytes.fill(0, offset, offset + length);
    },
    readInto: async (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
    ...(extents && {
      async *extents() {
        yield* extents;
      },
    }),
    flush: async () => undefined,
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function stream(bytes: Buffer): SequentialSource {
  return {
    access: 'sequential',
    size: bytes.length,
    async *blocks(): AsyncGenerator<Block> {
      for (const { offset, length, kind } of EXTENTS) {
        if (kind === 'data') yield { offset, data: bytes.subarray(offset, offset + length), kind };
        else yield { offset, length, kind };
      }
    },
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function expected(bytes: Buffer): string {
  const hash = createHash('sha256');
  const piece = (at: number): Buffer => bytes.subarray(at, at + 4 * MIB);
  for (let at = 0; at < SIZE; at += 4 * MIB) hash.update(createHash('sha256').update(piece(at)).digest());
  return hash.digest('hex');
}

describe('the digest of a volume', () => {
  it('is the same by whatever way it is read', async () => {
    const digest = expected(volume());
    expect(await digestOf(readable(targetOf(volume())), call)).toBe(digest);
    expect(await digestOf(readable(targetOf(volume(), EXTENTS)), call)).toBe(digest);
    expect(await digestOf(stream(volume()), call)).toBe(digest);
    expect(await digestOfEqual(stream(volume()), targetOf(volume(), EXTENTS), call)).toBe(digest);
  });

  it.each([0, 9 * MIB + 3, 15 * MIB, SIZE - 1])('finds a byte that differs at %i', async (at) => {
    const other = volume();
    other[at] = 1;
    const refused = { code: 'NOT_PROVEN' };
    await expect(digestOfEqual(stream(volume()), targetOf(other), call)).rejects.toMatchObject(refused);
    const mapped = readable(targetOf(volume(), EXTENTS));
    await expect(digestOfEqual(mapped, targetOf(other), call)).rejects.toMatchObject(refused);
    expect(await digestOf(readable(targetOf(other)), call)).not.toBe(expected(volume()));
  });

  it('refuses a volume of another size', async () => {
    const short = targetOf(volume().subarray(1));
    await expect(digestOfEqual(stream(volume()), short, call)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });
});

it('writes what differs, and nothing old shines through', async () => {
  const old = Buffer.alloc(SIZE, 9);
  expect(await writeInto(readable(targetOf(volume(), EXTENTS)), targetOf(old), call)).toBeGreaterThan(0);
  expect(old.equals(volume())).toBe(true);
  expect(await writeInto(readable(targetOf(volume())), targetOf(old), call)).toBe(0);
});
