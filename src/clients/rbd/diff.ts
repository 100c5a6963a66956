import { FafnirError } from '../../core/errors.ts';
import { ByteReader } from '../host/byte-reader.ts';

/** What a diff is of. */
export interface DiffHead {
  /** The older snapshot; without it, the diff begins with an empty image. */
  readonly from?: string;
  /** The newer snapshot; without it, the diff ends with the image as it is. */
  readonly to?: string;
  /** Bytes of the newer one. */
  readonly size: number;
}

/** A run of bytes of a diff, in ascending order. */
export type DiffRun =
  | {
      /** Bytes from the start of the image. */
      readonly offset: number;
      /** Now zeros, or discarded. */
      readonly kind: 'zero';
      /** Bytes, at least 1. */
      readonly length: number;
    }
  | {
      /** Bytes from the start of the image. */
      readonly offset: number;
      /** Written. */
      readonly kind: 'data';
      /** What is there. */
      readonly data: Uint8Array;
    };

const MAGIC = 'rbd diff v1\n';
const LONGEST_NAME = 4096;
const LARGEST_PIECE = 1024 * 1024;

/** Writes what `rbd import-diff` reads, format version 1, piece by piece. */
export async function* writeDiff(
  { from, to, size }: DiffHead,
  runs: AsyncIterable<DiffRun>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const names = [
    from === undefined ? [] : nameRecord('f', from),
    to === undefined ? [] : nameRecord('t', to),
  ];
  yield Buffer.concat([Buffer.from(MAGIC), ...names.flat(), record('s', size)]);
  for await (const run of runs) {
    if (run.kind === 'zero') yield record('z', run.offset, run.length);
    else {
      yield record('w', run.offset, run.data.length);
      yield run.data;
    }
  }
  yield Buffer.from('e');
}

function nameRecord(tag: string, name: string): Uint8Array {
  const bytes = Buffer.from(name);
  const head = Buffer.alloc(5, tag);
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function record(tag: string, ...numbers: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(1 + 8 * numbers.length, tag);
  for (const [at, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), 1 + 8 * at);
  return bytes;
}

/**
 * Reads what `rbd export-diff` prints, format version 1; data comes in pieces of at most 1 MiB, in memory of their own.
 * A stream without its end is `UNAVAILABLE`; one that is not
 * understood, or of other snapshots than expected, is `WRONG_ANSWER`.
 */
export async function* parseDiff(
  bytes: AsyncIterable<Uint8Array>,
  expected: DiffHead,
): AsyncGenerator<DiffRun, void, undefined> {
  const reader = new ByteReader('rbd export-diff', bytes);
  try {
    const magic = text(await reader.take(MAGIC.length));
    if (magic !== MAGIC) throw notUnderstood(`it begins with ${JSON.stringify(magic)}`);
    let tag = await readHeader(reader, expected);
    for (let position = 0; tag !== 'e'; tag = text(await reader.take(1))) {
      if (tag !== 'w' && tag !== 'z') throw notUnderstood(`it has ${JSON.stringify(tag)} for a record`);
      const [offset, length] = [await readNumber(reader), await readNumber(reader)];
      if (length < 1 || offset < position || offset + length > expected.size) {
        throw notUnderstood(`it has ${length} bytes at ${offset}, after ${position} of ${expected.size}`);
      }
      position = offset + length;
      if (tag === 'z') yield { offset, length, kind: 'zero' };
      else yield* readData(reader, offset, length);
    }
    if (!(await reader.ended())) throw notUnderstood('it goes on after its end');
  } finally {
    await reader.close();
  }
}

/** Reads the records before the first run, whose tag it returns. */
async function readHeader(reader: ByteReader, expected: DiffHead): Promise<string> {
  const found: { from?: string; to?: string; size?: number } = {};
  for (;;) {
    const tag = text(await reader.take(1));
    if (tag === 'f' && found.from === undefined) found.from = await readName(reader);
    else if (tag === 't' && found.to === undefined) found.to = await readName(reader);
    else if (tag === 's' && found.size === undefined) found.size = await readNumber(reader);
    else {
      if (found.from === expected.from && found.to === expected.to && found.size === expected.size)
        return tag;
      const [is, was] = [JSON.stringify(found), JSON.stringify(expected)];
      throw notUnderstood(`it is of ${is}, not of ${was}`);
    }
  }
}

async function* readData(
  reader: ByteReader,
  offset: number,
  length: number,
): AsyncGenerator<DiffRun, void, undefined> {
  for (let done = 0; done < length; done += LARGEST_PIECE) {
    const data = await reader.take(Math.min(LARGEST_PIECE, length - done));
    yield { offset: offset + done, kind: 'data', data };
  }
}

async function readName(reader: ByteReader): Promise<string> {
  const length = viewOf(await reader.take(4)).getUint32(0, true);
  if (length > LONGEST_NAME) throw notUnderstood(`it has a name of ${length} bytes`);
  return text(await reader.take(length));
}

async function readNumber(reader: ByteReader): Promise<number> {
  const number = viewOf(await reader.take(8)).getBigUint64(0, true);
  if (number > Number.MAX_SAFE_INTEGER) throw notUnderstood(`it has the number ${number}`);
  return Number(number);
}

const viewOf = ({ buffer }: Uint8Array): DataView => new DataView(buffer);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function notUnderstood(why: string): FafnirError {
  return new FafnirError('WRONG_ANSWER', `rbd export-diff printed what is not understood: ${why}`);
}
