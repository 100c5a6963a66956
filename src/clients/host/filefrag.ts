import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { INHERITED, type OpenedFile, type Program, runLines } from './run.ts';

const PROGRAM: Program = { name: 'filefrag', package: 'e2fsprogs' };

/** A flag that the file system puts on an extent. */
export type FileExtentFlag =
  | 'last'
  | 'unknown_loc'
  | 'delalloc'
  | 'encoded'
  | 'encrypted'
  | 'not_aligned'
  | 'inline'
  | 'tail_packed'
  | 'unwritten'
  | 'merged'
  | 'shared'
  | 'eof';

/** A run of a file as the file system keeps it; what lies between extents is a hole. In bytes. */
export type FileExtent = {
  /** From the start of the file. */
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
  /** Where it begins on the device; means nothing where a flag says that the place is not known. */
  readonly physical: number;
  /** As printed. */
  readonly flags: ReadonlySet<FileExtentFlag>;
};

const FLAGS: ReadonlySet<string> = new Set<FileExtentFlag>([
  'last',
  'unknown_loc',
  'delalloc',
  'encoded',
  'encrypted',
  'not_aligned',
  'inline',
  'tail_packed',
  'unwritten',
  'merged',
  'shared',
  'eof',
]);

const TYPE = /^Filesystem type is: [0-9a-f]+$/;
const SIZE = /^File size of .+ is \d+ \(\d+ blocks? of 1 bytes?\)$/;
const HEAD = /^ ext: +logical_offset: +physical_offset: length: +expected: flags:$/;
const EXTENT =
  /^ *\d+: +(?<first>\d+)\.\. *(?<last>\d+): +(?<physical>\d+)\.\. *\d+: +(?<length>\d+):(?: +\d+:)?(?: +(?<flags>[a-z_]+(?:,[a-z_]+)*))? *$/;
const END = /^.+: \d+ extents? found(?:, perfection would be \d+ extents?)?$/;

/**
 * The extents of an open file, in ascending order, after a sync of the file. Asks for units of one byte: larger
 * units round away what a file system with smaller blocks answers.
 */
export function filefragExtents(file: OpenedFile, { signal }: CallOptions): AsyncIterable<FileExtent> {
  return parseFilefrag(runLines(PROGRAM, ['-v', '-s', '-b1', INHERITED], { signal, inherit: file }));
}

/** Reads what `filefrag -v -b1` prints about one file; a line that is not understood is `WRONG_ANSWER`. */
export async function* parseFilefrag(
  lines: AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<FileExtent, void, undefined> {
  let complete = false;
  let position = 0;
  let sized = false;
  for await (const line of lines) {
    if (complete) throw notUnderstood(line);
    if (SIZE.test(line)) sized = true;
    else if (END.test(line)) complete = sized;
    else if (!TYPE.test(line) && !HEAD.test(line)) {
      const extent = parseExtent(line);
      if (!sized || extent.offset < position) throw notUnderstood(line);
      position = extent.offset + extent.length;
      yield extent;
    }
  }
  if (!complete) throw new FafnirError('WRONG_ANSWER', 'filefrag ended before its answer was complete');
}

function parseExtent(line: string): FileExtent {
  const found = EXTENT.exec(line)?.groups;
  if (found === undefined) throw notUnderstood(line);
  const offset = Number(found.first);
  const length = Number(found.length);
  const physical = Number(found.physical);
  const flags = found.flags?.split(',') ?? [];
  const exact = [offset, length, physical, offset + length, physical + length].every(Number.isSafeInteger);
  if (!exact || length < 1 || Number(found.last) !== offset + length - 1 || !flags.every(isFlag)) {
    throw notUnderstood(line);
  }
  return { offset, length, physical, flags: new Set(flags) };
}

function isFlag(text: string): text is FileExtentFlag {
  return FLAGS.has(text);
}

function notUnderstood(line: string): FafnirError {
  return new FafnirError('WRONG_ANSWER', `filefrag printed what is not understood: ${JSON.stringify(line)}`, {
    hint: 'Report the line to the makers of this package, with the version of filefrag.',
  });
}
