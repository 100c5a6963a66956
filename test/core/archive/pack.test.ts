import { createHash, randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  COMPRESSED,
  PackHeader,
  PackSeal,
  type PackTrailer,
  parseTrailer,
  TRAILER_BYTES,
} from '../../../src/core/archive/pack.ts';
import { PackBuilder, type SealedPack } from '../../../src/core/archive/pack-builder.ts';
import type { DataKey } from '../../../src/core/archive/sealing.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { flipped, newDataKey } from './data-keys.ts';

const idOf = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

function packOf(key: DataKey, chunks: readonly Uint8Array[]): { built: SealedPack; bytes: Uint8Array } {
  const builder = new PackBuilder(key, new ArrayBuffer(16 * 1024 * 1024));
  for (const chunk of chunks) builder.add(idOf(chunk), chunk);
  const built = builder.finish();
  expect(new PackHeader(built.entries).count).toBe(chunks.length);
  return { built, bytes: built.body };
}

/** Everything that can be read of a pack from its bytes and name alone. */
function readPack(key: DataKey, name: string, bytes: Uint8Array): { id: string; raw: Uint8Array }[] {
  const trailer: PackTrailer = parseTrailer(name, bytes.subarray(-TRAILER_BYTES));
  const end = bytes.length - TRAILER_BYTES;
  const seal = new PackSeal(key, Buffer.from(name, 'hex'));
  const header = seal.openHeader(trailer, bytes.subarray(end - trailer.headerBytes, end));
  return [...header.chunks()].map((chunk) => {
    const { offset, storedBytes, flags } = chunk;
    const stored = seal.openChunk(chunk, bytes.subarray(offset, offset + storedBytes));
    const raw = flags === COMPRESSED ? zstdDecompressSync(stored) : stored;
    expect(raw).toHaveLength(chunk.rawBytes);
    return { id: Buffer.from(chunk.id).toString('hex'), raw };
  });
}

const refused = (work: () => unknown): void => {
  try {
    work();
  } catch (error) {
    expect(FafnirError.is(error, 'CORRUPT')).toBe(true);
    return;
  }
  expect.unreachable('it was not refused');
};

describe('a pack', () => {
  it('gives back every chunk that was added', () => {
    const chunk = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 400_000 }).map((length) => new Uint8Array(length).fill(7)),
      fc.integer({ min: 1, max: 400_000 }).map((length) => new Uint8Array(randomBytes(length))),
    );
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), (chunks) => {
        const key = newDataKey();
        const { built, bytes } = packOf(key, chunks);
        const read = readPack(key, built.name, bytes);
        expect(read.map(({ raw }) => Buffer.from(raw).toString('hex'))).toEqual(
          chunks.map((one) => Buffer.from(one).toString('hex')),
        );
        expect(read.map(({ id }) => id)).toEqual(chunks.map((one) => Buffer.from(idOf(one)).toString('hex')));
      }),
      { numRuns: 60 },
    );
  });

  it('stores compressed what that makes smaller, and the rest as it is', () => {
    const [text, noise] = [new Uint8Array(1_048_576).fill(65), new Uint8Array(randomBytes(1_048_576))];
    const { built } = packOf(newDataKey(), [text, noise]);
    const [first, second] = new PackHeader(built.entries).chunks();
    expect(first).toMatchObject({ flags: COMPRESSED, rawBytes: 1_048_576 });
    expect(first?.storedBytes).toBeLessThan(1_000);
    expect(second).toMatchObject({ flags: 0, storedBytes: 1_048_576 + 16 });
  });

  it('is refused with any bit of it changed', () => {
    const key = newDataKey();
    const { built, bytes } = packOf(key, [Uint8Array.of(1, 2, 3), new Uint8Array(200).fill(9)]);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      refused(() => {
        const changed = flipped(bytes, bit);
        // Whoever reads it takes the key that the pack names.
        const { keyId } = parseTrailer(built.name, changed.subarray(-TRAILER_BYTES));
        if (keyId !== key.id) throw new FafnirError('CORRUPT', 'no such key');
        readPack(key, built.name, changed);
      });
    }
  });

  it('is refused under another name, in another repository, and under another key', () => {
    const key = newDataKey();
    const { built, bytes } = packOf(key, [Uint8Array.of(1, 2, 3)]);
    refused(() => readPack(key, randomBytes(16).toString('hex'), bytes));
    refused(() => readPack({ ...key, repository: newDataKey().repository }, built.name, bytes));
    refused(() => readPack(newDataKey(key.repository), built.name, bytes));
  });

  it('lets no chunk pass for another: not its neighbour, nor the same place of another pack', () => {
    const key = newDataKey();
    const chunks = [1, 2].map((byte) => new Uint8Array(100).fill(byte).map((value, at) => value * at));
    const [one, other] = [packOf(key, chunks), packOf(key, chunks)];
    const seal = new PackSeal(key, Buffer.from(one.built.name, 'hex'));
    const [first, second] = new PackHeader(one.built.entries).chunks();
    const [foreign] = new PackHeader(other.built.entries).chunks();
    if (first === undefined || second === undefined || foreign === undefined) return expect.unreachable();
    const bytesOf = (of: Uint8Array, { offset, storedBytes }: typeof first): Uint8Array =>
      of.subarray(offset, offset + storedBytes);
    refused(() => seal.openChunk(first, bytesOf(one.bytes, second)));
    refused(() => seal.openChunk(first, bytesOf(other.bytes, foreign)));
    refused(() => seal.openChunk({ ...first, id: second.id }, bytesOf(one.bytes, first)));
    refused(() => seal.openChunk({ ...first, rawBytes: 99 }, bytesOf(one.bytes, first)));
    refused(() => seal.openChunk({ ...first, flags: first.flags ^ 1 }, bytesOf(one.bytes, first)));
    expect(seal.openChunk(first, bytesOf(one.bytes, first)).length).toBeGreaterThan(0);
  });

  it('says where its chunks are with nothing but its own bytes', () => {
    const { built } = packOf(newDataKey(), [Uint8Array.of(1), Uint8Array.of(2, 3)]);
    const again = new PackHeader(Uint8Array.from(built.entries));
    expect([...again.chunks()].map(({ offset, rawBytes }) => [offset, rawBytes])).toEqual([
      [0, 1],
      [17, 2],
    ]);
  });
});
