import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { findProgram, INHERITED, type OpenedFile, type Program, runLines } from './run.ts';

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

/** A format of images, as the program names it. */
export type ImageFormat = 'qcow2' | 'vpc';

/** An image that is no raw one. */
export interface Image {
  /** Its format. */
  readonly format: ImageFormat;
  /** Where it is; absolute, for the program takes what begins otherwise for more than a file. */
  readonly path: string;
}

// Otherwise the program rounds the size up to what old disk geometries can tell.
const CREATION: Readonly<Record<ImageFormat, readonly string[]>> = {
  qcow2: [],
  vpc: ['-o', 'subformat=dynamic,force_size=on'],
};

/** Rejects with `UNSUPPORTED`, saying "not installed", where the host has no `qemu-img`. */
export async function assertQemuImg(): Promise<void> {
  await findProgram(PROGRAM);
}

/** Makes an image of an open raw one, sparse where that is zeros. It is not yet durable. */
export async function convertImage(
  file: OpenedFile,
  { format, path }: Image,
  { signal }: CallOptions,
): Promise<void> {
  const parameters = ['convert', '-f', 'raw', '-O', format, ...CREATION[format], INHERITED, path];
  await linesOf(runLines(PROGRAM, parameters, { signal, inherit: file }), []);
}

/**
 * Rejects with `NOT_PROVEN` unless an image holds what an open raw one does; where one of the two is longer, the rest of it
 * is zeros.
 */
export async function compareImage(
  file: OpenedFile,
  { format, path }: Image,
  { signal }: CallOptions,
): Promise<void> {
  const printed: string[] = [];
  const parameters = ['compare', '-f', 'raw', '-F', format, INHERITED, path];
  try {
    await linesOf(runLines(PROGRAM, parameters, { signal, inherit: file }), printed);
  } catch (error) {
    const difference = printed.find((line) => line.startsWith('Content mismatch'));
    if (difference === undefined) throw error;
    throw new FafnirError('NOT_PROVEN', `the image is not what it was made of: ${difference}`, {
      cause: error,
    });
  }
}

async function linesOf(lines: AsyncIterable<string>, into: string[]): Promise<void> {
  for await (const line of lines) into.push(line);
}

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
