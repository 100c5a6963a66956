import { createHash } from 'node:crypto';
import type {
  CallOptions,
  CopyCall,
  SequentialSource,
  VolumeSource,
  VolumeTarget,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

const PIECE = 4 * 1024 * 1024;
const ZEROS = new Uint8Array(PIECE);

/** What volumes and sources are read by. */
type Readable = Pick<VolumeSource, 'extents' | 'readInto' | 'size'>;

/** A run of bytes from a multiple of `PIECE` on. Another one may come in the same memory. */
interface Piece {
  readonly offset: number;
  readonly length: number;
  /** Missing where all of them are zeros, and nothing was read. */
  readonly bytes?: Uint8Array;
}

/**
 * SHA-256, in hexadecimal digits, over that of every 4 MiB of a volume: holes cost nothing.
 */
export async function digestOf(source: Readable | SequentialSource, call: CopyCall): Promise<string> {
  const digest = new Digest();
  for await (const piece of piecesOf(source, call)) {
    digest.add(piece);
    call.progress(piece.length);
  }
  return digest.hex();
}

/** Reads a volume and what should be equal to it, but for holes; resolves with the digest. `NOT_PROVEN` where it differs. */
export async function digestOfEqual(
  source: Readable | SequentialSource,
  target: VolumeTarget,
  call: CopyCall,
): Promise<string> {
  if (source.size !== target.size) {
    throw new FafnirError('NOT_PROVEN', `the restored volume has ${target.size} bytes, not ${source.size}`);
  }
  const digest = new Digest();
  const others = piecesOf(readable(target), call);
  for await (const piece of piecesOf(source, call)) {
    const other = (await others.next()).value;
    if (other === undefined || !isEqual(piece, other)) {
      const range = `between bytes ${piece.offset} and ${piece.offset + piece.length}`;
      throw new FafnirError('NOT_PROVEN', `the restored volume differs ${range}`);
    }
    digest.add(piece);
    call.progress(piece.length);
  }
  return digest.hex();
}

/** Makes the target hold the volume's bytes, and flushes; resolves with the bytes that were written. */
export async function writeInto(source: Readable, target: VolumeTarget, call: CopyCall): Promise<number> {
  if (source.size !== target.size) {
    throw new FafnirError('UNSUPPORTED', `a copy of ${source.size} bytes into a volume of ${target.size}`);
  }
  const { blank } = target;
  const memory = new Uint8Array(PIECE);
  let written = 0;
  for await (const piece of piecesOf(source, call)) {
    const { offset, length, bytes } = piece;
    if (bytes === undefined || isEqual(piece, { offset, length })) {
      if (!blank) await target.zero(offset, length, call);
    } else {
      const is = memory.subarray(0, length);
      if (!blank) await target.readInto(offset, is, call);
      if (blank || Buffer.compare(bytes, is) !== 0) {
        await target.write(offset, bytes, call);
        written += length;
      }
    }
    call.progress(length);
  }
  await target.flush(call);
  return written;
}

/** A volume as a source; where it does not tell what is where, all is data. */
export function readable(target: VolumeTarget): Readable {
  const { size } = target;
  return {
    size,
    async *extents(call) {
      if (target.extents !== undefined) yield* target.extents(call);
      else yield { offset: 0, length: size, kind: 'data' };
    },
    readInto: (offset, into, call) => target.readInto(offset, into, call),
  };
}

class Digest {
  readonly #hash = createHash('sha256');
  readonly #ofZeros = sha256(ZEROS);

  add({ length, bytes }: Piece): void {
    if (bytes !== undefined) this.#hash.update(sha256(bytes));
    else this.#hash.update(length === PIECE ? this.#ofZeros : sha256(zeros(length)));
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const zeros = (length: number): Uint8Array => ZEROS.subarray(0, length);

function isEqual(a: Piece, b: Piece): boolean {
  if (a.bytes === undefined && b.bytes === undefined) return a.length === b.length;
  return Buffer.compare(a.bytes ?? zeros(a.length), b.bytes ?? zeros(b.length)) === 0;
}

function piecesOf(
  source: Readable | SequentialSource,
  call: CallOptions,
): AsyncGenerator<Piece, void, undefined> {
  return 'blocks' in source ? streamed(source, call) : mapped(source, call);
}

async function* mapped(source: Readable, call: CallOptions): AsyncGenerator<Piece, void, undefined> {
  const { size } = source;
  const memory = new Uint8Array(PIECE);
  const pieceAt = (offset: number): Piece => ({ offset, length: Math.min(PIECE, size - offset) });
  let next = 0;
  for await (const { offset, length, kind } of source.extents(call)) {
    if (kind !== 'data') continue;
    for (; next + PIECE <= offset; next += PIECE) yield pieceAt(next);
    for (; next < offset + length; next += PIECE) {
      call.signal.throwIfAborted();
      const piece = pieceAt(next);
      const bytes = memory.subarray(0, piece.length);
      await source.readInto(next, bytes, call);
      yield { ...piece, bytes };
    }
  }
  for (; next < size; next += PIECE) yield pieceAt(next);
}

async function* streamed(
  source: SequentialSource,
  call: CallOptions,
): AsyncGenerator<Piece, void, undefined> {
  const memory = new Uint8Array(PIECE);
  let at = 0;
  let hasData = false;
  for await (const block of source.blocks(call)) {
    call.signal.throwIfAborted();
    const end = block.offset + (block.kind === 'data' ? block.data.length : block.length);
    while (at < end) {
      const begin = at - (at % PIECE);
      const until = Math.min(begin + PIECE, end);
      if (block.kind === 'data') {
        memory.set(block.data.subarray(at - block.offset, until - block.offset), at - begin);
        hasData = true;
      }
      at = until;
      if (at < Math.min(begin + PIECE, source.size)) continue;
      const length = at - begin;
      yield { offset: begin, length, ...(hasData && { bytes: memory.subarray(0, length) }) };
      if (hasData) memory.fill(0);
      hasData = false;
    }
  }
}
