import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';

const { O_DIRECTORY, O_RDONLY } = constants;

/** Runs work with an open file. */
export async function withFile<Result>(
  path: string,
  flags: number,
  work: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  const file = await open(path, flags, 0o666);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** What the work comes to, or undefined where there is no such file. */
export async function unlessMissing<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the folder exists; what is there and is none, or leads elsewhere, is `ACCESS_DENIED`. */
export async function folderExists(folder: string): Promise<boolean> {
  const stats = await unlessMissing(() => lstat(folder));
  // A code of its own: a damaged record can be passed by, a folder that may lead elsewhere cannot.
  if (stats !== undefined && !stats.isDirectory()) {
    throw new FafnirError('ACCESS_DENIED', `${folder}: not a directory; links are not followed`);
  }
  return stats !== undefined;
}

/** Makes a folder unless it exists, with those above it; durable. */
export async function makeFolder(folder: string): Promise<void> {
  if (await folderExists(folder)) return;
  const first = (await mkdir(folder, { recursive: true })) ?? folder;
  // A new directory survives a power loss only once its parent has been synchronised.
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Makes the names in a folder survive a power loss. */
export async function syncFolder(folder: string): Promise<void> {
  await withFile(folder, O_RDONLY | O_DIRECTORY, (file) => file.sync());
}
