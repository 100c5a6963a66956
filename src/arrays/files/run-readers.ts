import type { FileHandle } from 'node:fs/promises';
import { type FileExtent, filefragExtents } from '../../clients/host/filefrag.ts';
import { type ImageExtent, qemuImgExtents } from '../../clients/host/qemu-img.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { coverFile, type Run, type RunReader } from './runs.ts';
import { isZero, ZERO_GRAIN } from './zeros.ts';

const BLOCK = 1024 * 1024;

/** By the file system's extents; the only reader that knows what two files share. */
export const filefragRuns: RunReader = (file, size, call) =>
  coverFile(fromFilefrag(filefragExtents(file, call)), size);

/** By holes. */
export const qemuImgRuns: RunReader = (file, size, call) =>
  coverFile(fromQemuImg(qemuImgExtents(file, call)), size);

async function* fromFilefrag(extents: AsyncIterable<FileExtent>): AsyncGenerator<Run, void, undefined> {
  for await (const { offset, length, physical, flags } of extents) {
    const only = (...allowed: readonly string[]): boolean =>
      [...flags].every((flag) => allowed.includes(flag));
    if (flags.has('unwritten') && only('unwritten', 'shared', 'last', 'eof')) {
      yield { offset, length, kind: 'zero' };
    } else if (flags.has('shared') && only('shared', 'last', 'eof')) {
      yield { offset, length, kind: 'data', shared: physical };
    } else {
      yield { offset, length, kind: 'data' };
    }
  }
}

async function* fromQemuImg(extents: AsyncIterable<ImageExtent>): AsyncGenerator<Run, void, undefined> {
  for await (const { offset, length, zero } of extents) {
    yield { offset, length, kind: zero ? 'zero' : 'data' };
  }
}

/** By reading everything. */
export async function* scanRuns(
  file: FileHandle,
  size: number,
  { signal }: CallOptions,
): AsyncGenerator<Run, void, undefined> {
  const buffer = new Uint8Array(Math.min(BLOCK, size));
  for (let offset = 0; offset < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(BLOCK, size - offset), offset);
    // Shorter than it was: what is missing must be read by someone who will notice.
    if (bytesRead === 0) return yield { offset, length: size - offset, kind: 'data' };
    for (let at = 0; at < bytesRead; at += ZERO_GRAIN) {
      const grain = buffer.subarray(at, Math.min(bytesRead, at + ZERO_GRAIN));
      yield { offset: offset + at, length: grain.length, kind: isZero(grain) ? 'zero' : 'data' };
    }
    offset += bytesRead;
  }
}
