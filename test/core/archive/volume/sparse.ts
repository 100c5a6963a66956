import { createCipheriv } from 'node:crypto';
import * as fc from 'fast-check';
import type { VolumeTarget } from '../../../../src/core/contracts/index.ts';
import { patterned } from '../volumes.ts';
import type { SparseVolume } from './write.ts';

/** The smallest chunks that there are. */
export const SMALL: number = 256 * 1024;

/** A volume whose chunks at these positions follow from a seed; equal seeds make equal chunks. */
export function sparseVolume(
  size: number,
  chunkSize: number,
  seeds: Readonly<Record<number, number>>,
): SparseVolume {
  const chunks = Object.entries(seeds).map(([at, seed]): [number, Uint8Array] => {
    const position = Number(at);
    return [position, patterned(Math.min(chunkSize, size - position * chunkSize), seed)];
  });
  return { size, chunkSize, chunks: new Map(chunks) };
}

/** Volumes with holes, chunks that are alike, and sizes around the borders of chunks. */
export const anyVolume: fc.Arbitrary<SparseVolume> = fc
  .record({
    chunkSize: fc.constantFrom(SMALL, 2 * SMALL),
    chunks: fc.nat({ max: 9 }),
    off: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: SMALL })),
    seeds: fc.array(fc.option(fc.nat({ max: 5 })), { minLength: 10, maxLength: 10 }),
  })
  .map(({ chunkSize, chunks, off, seeds }) => {
    const size = chunks * chunkSize + off;
    const given = seeds.slice(0, Math.ceil(size / chunkSize)).entries();
    const filled = [...given].flatMap(([at, seed]) => (seed === null ? [] : [[at, seed] as const]));
    return sparseVolume(size, chunkSize, Object.fromEntries(filled));
  });

/** All bytes of a volume. */
export function bytesOf({ size, chunkSize, chunks }: SparseVolume): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const [position, chunk] of chunks) bytes.set(chunk, position * chunkSize);
  return bytes;
}

/** Bytes that no compressor makes smaller; equal seeds make equal ones. */
export const noise = (length: number, seed: number): Uint8Array =>
  new Uint8Array(
    createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length)),
  );

/** All that comes. */
export async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A target that takes no memory where nothing was written; one of a volume's own size and chunks. */
export function sparseTarget({ size, chunkSize }: SparseVolume): VolumeTarget & {
  readonly chunks: ReadonlyMap<number, Uint8Array>;
} {
  const chunks = new Map<number, Uint8Array>();
  const close = async (): Promise<void> => undefined;
  return {
    size,
    blank: true,
    chunks,
    async write(offset, data) {
      for (let done = 0; done < data.length; done += chunkSize) {
        chunks.set((offset + done) / chunkSize, data.slice(done, done + chunkSize));
      }
    },
    async zero(offset, length) {
      for (let done = 0; done < length; done += chunkSize) chunks.delete((offset + done) / chunkSize);
    },
    async readInto(offset, into) {
      into.fill(0);
      for (let done = 0; done < into.length; done += chunkSize) {
        const chunk = chunks.get((offset + done) / chunkSize);
        if (chunk !== undefined) into.set(chunk, done);
      }
    },
    flush: close,
    close,
    [Symbol.asyncDispose]: close,
  };
}
