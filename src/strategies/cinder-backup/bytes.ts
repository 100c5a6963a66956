import { createHash, type Hash } from 'node:crypto';
import type { CopyCall, SequentialSource, VolumeSource, VolumeTarget } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

const PIECE = 4 * 1024 * 1024;
const ZEROS = new Uint8Array(PIECE);

/** A run of bytes. Another one may come in the same memory. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Reads all of a volume; SHA-256, in hexadecimal digits. */
export async function digestOf(source: VolumeSource | SequentialSource, call: CopyCall): Promise<string> {
  const hash = createHash('sha256');
  for await (const { bytes } of piecesOf(source, call)) {
    hash.update(bytes);
    call.progress(bytes.length);
  }
  return hash.digest('hex');
}

/** Reads all of a volume and of what should be equal to it; resolves with the digest. `NOT_PROVEN` where it differs. */
export async function digestOfEqual(
  source: VolumeSource | SequentialSource,
  target: Pick<VolumeTarget, 'readInto' | 'size'>,
  call: CopyCall,
): Promise<string> {
  if (source.size !== target.size) {
    throw new FafnirError('NOT_PROVEN', `the restored volume has ${target.size} bytes, not ${source.size}`);
  }
  const hash: Hash = createHash('sha256');
  const other = new Uint8Array(PIECE);
  for await (const { offset, bytes } of piecesOf(source, call)) {
    const is = other.subarray(0, bytes.length);
    await target.readInto(offset, is, call);
    if (Buffer.compare(bytes, is) !== 0) {
      const range = `between bytes ${offset} and ${offset + bytes.length}`;
      throw new FafnirError('NOT_PROVEN', `the restored volume differs ${range}`);
    }
    hash.update(bytes);
    call.progress(bytes.length);
  }
  return hash.digest('hex');
}

/** Makes the target hold the volume's bytes, and flushes; resolves with the bytes that were written. */
export async function writeInto(source: VolumeSource, target: VolumeTarget, call: CopyCall): Promise<number> {
  if (source.size !== target.size) {
    throw new FafnirError('UNSUPPORTED', `a copy of ${source.size} bytes into a volume of ${target.size}`);
  }
  const { blank } = target;
  const other = new Uint8Array(PIECE);
  let written = 0;
  for await (const { offset, bytes } of piecesOf(source, call)) {
    const isZero = Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) === 0;
    if (isZero) {
      if (!blank) await target.zero(offset, bytes.length, call);
    } else {
      const is = other.subarray(0, bytes.length);
      if (!blank) await target.readInto(offset, is, call);
      if (blank || Buffer.compare(bytes, is) !== 0) {
        await target.write(offset, bytes, call);
        written += bytes.length;
      }
    }
    call.progress(bytes.length);
  }
  await target.flush(call);
  return written;
}

async function* piecesOf(
  source: VolumeSource | SequentialSource,
  call: CopyCall,
): AsyncGenerator<Piece, void, undefined> {
  if (source.access === 'sequential') {
    for await (const block of source.blocks(call)) {
      call.signal.throwIfAborted();
      if (block.kind === 'data') yield { offset: block.offset, bytes: block.data };
      else yield* zeros(block.offset, block.length);
    }
    return;
  }
  const memory = new Uint8Array(PIECE);
  for await (const { offset, length, kind } of source.extents(call)) {
    if (kind !== 'data') {
      yield* zeros(offset, length);
      continue;
    }
    for (let done = 0; done < length; done += PIECE) {
      call.signal.throwIfAborted();
      const bytes = memory.subarray(0, Math.min(PIECE, length - done));
      await source.readInto(offset + done, bytes, call);
      yield { offset: offset + done, bytes };
    }
  }
}

function* zeros(offset: number, length: number): Generator<Piece, void, undefined> {
  for (let done = 0; done < length; done += PIECE) {
    yield { offset: offset + done, bytes: ZEROS.subarray(0, Math.min(PIECE, length - done)) };
  }
}
