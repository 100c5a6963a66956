import { createCipheriv, createHash } from 'node:crypto';
import type { Extent, VolumeSource } from '../../src/core/contracts/index.ts';
import { sourceOf } from '../core/archive/volumes.ts';

/** Bytes of a chunk. */
export const CHUNK: number = 256 * 1024;
/** How archives are written: so small packs that indexes are written on the way. */
export const TINY: { readonly chunkSize: number; readonly packBytes: number } = {
  chunkSize: CHUNK,
  packBytes: 550 * 1024,
};
/** Bytes of each volume. */
export const SIZES: readonly number[] = [36 * CHUNK, 9 * CHUNK + 77, 3 * CHUNK];
// An archive of so many is one that is not based on another.
const FRESH_EVERY = 5;

const hash = (...words: readonly (string | number)[]): Buffer =>
  createHash('sha256').update(words.join(' ')).digest();

/** The generation in which a chunk got what it has in this one. */
function writtenIn(seed: number, volume: number, generation: number, chunk: number): number {
  for (let at = generation; at > 0; at -= 1) {
    if (hash('change', seed, volume, at, chunk).readUInt8(0) < 50) return at;
  }
  return 0;
}

// Some are zeros, some are the same in several volumes.
function chunkBytes(seed: number, volume: number, chunk: number, written: number, length: number): Buffer {
  const key = hash('bytes', seed, volume, chunk, written);
  if (key.readUInt8(0) < 40) return Buffer.alloc(length);
  const from = key.readUInt8(0) < 90 ? hash('shared', seed, key.readUInt8(1) % 5) : key;
  return createCipheriv('aes-128-ctr', from.subarray(0, 16), Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** What a volume holds in a generation. */
export function volumeBytes(seed: number, volume: number, generation: number): Uint8Array {
  const size = SIZES[volume] ?? 0;
  const chunks: Buffer[] = [];
  for (let at = 0; at * CHUNK < size; at += 1) {
    const written = writtenIn(seed, volume, generation, at);
    chunks.push(chunkBytes(seed, volume, at, written, Math.min(CHUNK, size - at * CHUNK)));
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Whether the archive of a generation is based on that of the one before. */
export const isBased = (generation: number): boolean => generation % FRESH_EVERY !== 0;

/** A volume with a map of what changed, where its archive is based on another. */
export function volumeSource(seed: number, volume: number, generation: number): VolumeSource {
  const bytes = volumeBytes(seed, volume, generation);
  if (!isBased(generation)) return sourceOf(bytes);
  const extents: Extent[] = [];
  for (let at = 0; at * CHUNK < bytes.length; at += 1) {
    const isSame = writtenIn(seed, volume, generation, at) < generation;
    const length = Math.min(CHUNK, bytes.length - at * CHUNK);
    extents.push({ offset: at * CHUNK, length, kind: isSame ? 'same' : 'data' });
  }
  return sourceOf(bytes, extents);
}
