import { createCipheriv, createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

const GRAIN = 4096;
const OFFSET_BYTES = 6;
const NUMBER_BYTES = 16;
const WORDS =
  'a an and are as at be by error for from has host in is it no not of on or ready request retry root server session started stopped that the to unit user was with'.split(
    ' ',
  );

/** A run of bytes. */
export interface Range {
  /** Bytes from the start. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** What to change. */
export interface ChangeRequest {
  /** How many runs. */
  readonly count: number;
  /** Bytes of a run, a multiple of 4 KiB. */
  readonly length: number;
  /** The same seed, the same change. */
  readonly seed: string;
}

/**
 * Overwrites runs of a file at places of chance, aligned to 4 KiB and without overlaps: every other one with bytes that
 * nothing compresses, the others with text. Tells what it overwrote, in ascending order.
 */
export async function changeFile(path: string, request: ChangeRequest): Promise<readonly Range[]> {
  const random = randomBytes(request.seed);
  await using file = await open(path, 'r+');
  const { size } = await file.stat();
  const offsets = chooseOffsets(size, request, random);
  for (const [at, offset] of offsets.entries()) {
    const bytes = at % 2 === 0 ? random(request.length) : textOf(random, request.length);
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, offset);
    if (bytesWritten !== bytes.length) throw new Error(`${path} took ${bytesWritten} bytes of a run`);
  }
  await file.sync();
  return offsets.sort((a, b) => a - b).map((offset) => ({ offset, length: request.length }));
}

type RandomBytes = (count: number) => Buffer;

/** A stream of bytes that a seed decides. */
export function randomBytes(seed: string): RandomBytes {
  const stream = createCipheriv('aes-256-ctr', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  return (count) => stream.update(Buffer.alloc(count));
}

function chooseOffsets(size: number, { count, length }: ChangeRequest, random: RandomBytes): number[] {
  const places = Math.floor((size - length) / GRAIN) + 1;
  if (places < 2 * count * (length / GRAIN)) throw new Error(`${count} runs of ${length} are too many`);
  const offsets: number[] = [];
  while (offsets.length < count) {
    const offset = (random(OFFSET_BYTES).readUIntLE(0, OFFSET_BYTES) % places) * GRAIN;
    if (offsets.every((other) => Math.abs(other - offset) >= length)) offsets.push(offset);
  }
  return offsets;
}

/** Lines of a log, more or less. */
function textOf(random: RandomBytes, length: number): Buffer {
  const parts: string[] = [];
  for (let written = 0; written < length; ) {
    const numbers = random(NUMBER_BYTES);
    const words = Array.from(numbers, (number) => WORDS[number % WORDS.length]);
    const line = `${numbers.toString('hex', 0, 4)} ${words.join(' ')}\n`;
    parts.push(line);
    written += line.length;
  }
  return Buffer.from(parts.join('')).subarray(0, length);
}
