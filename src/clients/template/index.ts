import { link, lstat, mkdtemp, open, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import type { CallOptions, VolumeSource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { asFileError, errnoOf, type FileErrorCodes, fileWork } from '../../core/file-errors.ts';
import { OpenFile } from '../../core/open-file.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { assertQemuImg, compareImage, convertImage, type ImageFormat } from '../host/qemu-img.ts';
import { copySparse, proveCopy } from './sparse-copy.ts';

/** How a template is kept: as the bytes themselves, or in a format of virtual machines. */
export type TemplateFormat = 'raw' | 'qcow2' | 'vhd';

/** What to make a template of a volume as. */
export interface TemplateOptions extends Partial<CallOptions> {
  /** The file to make; its folder exists, and it does not. */
  readonly path: string;
  /** `raw`: the bytes, with holes where they are zeros. `qcow2` and `vhd` need the program `qemu-img`. */
  readonly format: TemplateFormat;
}

const templateSchema = strictOptions({
  path: z.string().min(1),
  format: z.enum(['raw', 'qcow2', 'vhd']),
  signal: z.instanceof(AbortSignal).exactOptional(),
}) satisfies z.ZodType<TemplateOptions>;

const CODES: FileErrorCodes = { ENOENT: 'NOT_FOUND', ENOTDIR: 'NOT_FOUND', EEXIST: 'ALREADY_EXISTS' };
const FORMATS: Readonly<Record<Exclude<TemplateFormat, 'raw'>, ImageFormat>> = { qcow2: 'qcow2', vhd: 'vpc' };
const LARGEST_VHD = 2040 * 1024 ** 3;
const forever: AbortSignal = new AbortController().signal;

/**
 * Writes the bytes of a volume, such as `session.checkpoints.open` opens, into a new file from which virtual machines can
 * be made. The file gets its name only once it was read back and found equal, and survives a power loss then; whatever
 * fails leaves nothing behind. `qcow2` and `vhd` are made from a sparse raw file beside them, so that for a time there must
 * be room for both; a `vhd` has whole sectors of 512 bytes, the last of which ends with zeros.
 *
 * `ALREADY_EXISTS` where there is something at the path, `NOT_FOUND` where its folder is missing, `UNSUPPORTED` where the
 * host has no `qemu-img` or the format does not take so many bytes, `NOT_PROVEN` where the file is not equal.
 */
export async function writeTemplate(source: VolumeSource, options: TemplateOptions): Promise<void> {
  const { path: given, format, signal = forever } = parseOptions('writeTemplate', templateSchema, options);
  const call = { signal };
  const path = resolve(given);
  signal.throwIfAborted();
  if (format !== 'raw') await assertQemuImg();
  if (format === 'vhd' && source.size > LARGEST_VHD) {
    throw new FafnirError('UNSUPPORTED', `a volume of ${source.size} bytes is too large for a vhd`);
  }
  await assertFree(path);
  const onPath = <Result>(work: () => Promise<Result>): Promise<Result> =>
    fileWork(`cannot write template ${path}`, work, CODES);
  const folder = await onPath(() => mkdtemp(join(dirname(path), '.template-')));
  try {
    const made = await onPath(() => writeImage(source, folder, format, call));
    signal.throwIfAborted();
    // Unlike a rename, a link never replaces what came there meanwhile.
    await onPath(() => link(made, path));
  } finally {
    await onPath(() => rm(folder, { recursive: true, force: true }));
  }
  await onPath(() => synchronise(dirname(path)));
}

async function writeImage(
  source: VolumeSource,
  folder: string,
  format: TemplateFormat,
  call: CallOptions,
): Promise<string> {
  const raw = join(folder, 'raw');
  const handle = await open(raw, 'wx+');
  await using file = new OpenFile('the template', handle, source.size);
  await handle.truncate(source.size);
  const digest = await copySparse(source, file, call);
  await file.flush(call);
  await proveCopy(source, file, digest, call);
  if (format === 'raw') return raw;
  const image = join(folder, 'image');
  await convertImage(handle, { format: FORMATS[format], path: image }, call);
  await synchronise(image);
  await compareImage(handle, { format: FORMATS[format], path: image }, call);
  return image;
}

async function assertFree(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw asFileError(error, `cannot look at ${path}`, CODES);
  }
  throw new FafnirError('ALREADY_EXISTS', `there is something at ${path} already`);
}

async function synchronise(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}
