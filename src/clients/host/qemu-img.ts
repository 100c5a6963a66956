import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { INHERITED, type OpenedFile, type Program, runLines } from './run.ts';

const PROGRAM: Program = { name: 'qemu-img', package: 'qemu-utils' };

/** A run of an image, in bytes; the last may reach past the end of the file to a full sector. */
export type ImageExtent = {
  /** From the start of the image. */
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
  /** True where the run is known to read as zeros. */
  readonly zero: boolean;
};

/** Newer versions add fields; those that decide are required. */
const entry = z.object({
  start: z.int().nonnegative(),
  length: z.int().nonnegative(),
  present: z.boolean(),
  zero: z.boolean(),
  data: z.boolean(),
});

/** The extents of an open raw image, in ascending order and without gaps. */
export function qemuImgExtents(file: OpenedFile, { signal }: CallOptions): AsyncIterable<ImageExtent> {
  // Forced sharing: a running virtual machine holds a lock on its volume.
  const parameters = ['map', '--output=json', '--force-share', '-f', 'raw', INHERITED];
  return parseQemuImgMap(runLines(PROGRAM, parameters, { signal, inherit: file }));
}

/** Reads what `qemu-img map --output=json` prints: an array, one entry a line. */
export async function* parseQemuImgMap(
  lines: AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<ImageExtent, void, undefined> {
  let position = 0;
  let state: 'before' | 'within' | 'after' = 'before';
  for await (const line of lines) {
    const opened = line.startsWith('[');
    const closed = line.endsWith(']');
    if (opened !== (state === 'before') || state === 'after' || !(closed || line.endsWith(','))) {
      throw notUnderstood(line);
    }
    state = closed ? 'after' : 'within';
    const text = line.slice(opened ? 1 : 0, -1);
    if (opened && closed && text === '') continue;
    const { start, length, zero, present, data } = parseEntry(text, line);
    if (start !== position) throw notUnderstood(line);
    position = start + length;
    // What is absent in a raw image reads as zeros only if the program says so.
    if (length > 0) yield { offset: start, length, zero: zero && !data };
    else if (present || data) throw notUnderstood(line);
  }
  if (state !== 'after')
    throw new FafnirError('WRONG_ANSWER', 'qemu-img ended before its answer was complete');
}

function parseEntry(text: string, line: string): z.infer<typeof entry> {
  try {
    return entry.parse(JSON.parse(text));
  } catch (error) {
    throw notUnderstood(line, error);
  }
}

function notUnderstood(line: string, cause?: unknown): FafnirError {
  return new FafnirError('WRONG_ANSWER', `qemu-img printed what is not understood: ${JSON.stringify(line)}`, {
    cause,
    hint: 'Report the line to the makers of this package, with the version of qemu-img.',
  });
}
