import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from './file-errors.ts';

const GONE = '.gone';

/** Makes the names in a folder survive a power loss. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  await folder.sync();
}

/** Makes a folder, durably; an existing one stays, but one that is a link to elsewhere is refused. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return assertFolder(path);
  }
  await syncFolder(dirname(path));
}

/** Rejects with `INVALID_ID` where the path is a link or a file. */
export async function assertFolder(path: string): Promise<void> {
  if ((await lstat(path)).isDirectory()) return;
  throw new FafnirError('INVALID_ID', `${path} is not a folder of its own`);
}

/** Opens a regular file; a link in its place, or in the place of its folder, is refused. */
export async function openFile(path: string, flags: number): Promise<FileHandle> {
  await assertFolder(dirname(path));
  // Not blocking: a pipe in the file's place must not hang the caller.
  const file = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if ((await file.stat()).isFile()) return file;
    throw new FafnirError('INVALID_ID', `${path} is not a regular file`);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Replaces a small file as a whole: it holds the old text or the new one, whatever dies. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  await using file = await open(
    fresh,
    constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
    0o600,
  );
  await file.writeFile(text);
  await file.sync();
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Gives a finished file its name unless the name is taken, then says so; durable. */
export async function publishFile(from: string, to: string): Promise<'created' | 'exists'> {
  try {
    await link(from, to);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return 'exists';
    throw error;
  }
  await syncFolder(dirname(to));
  return 'created';
}

/**
 * Removes what dead callers left in `partial`, and `partial`. A caller that was thought dead loses its folder and
 * fails, which {@link isTakenOver} tells.
 */
export async function removeRests(partial: string): Promise<void> {
  try {
    await assertFolder(partial);
    for (const rest of await readdir(partial))
      await discardFolder(join(partial, rest), goneFolder(partial, rest));
    await removeEmpty(partial);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/**
 * Makes something in a folder of its own below `partial`, which goes when the work ends. Removes what dead callers
 * left there first, so that nobody mixes with them.
 */
export async function inOwnFolder<Result>(
  partial: string,
  work: (folder: string, id: string) => Promise<Result>,
): Promise<Result> {
  const id = randomUUID();
  const folder = join(partial, id);
  try {
    await removeRests(partial);
    await makeFolder(partial);
    await mkdir(folder);
    return await work(folder, id);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new FafnirError('UNAVAILABLE', `another caller took over in ${partial}`, { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
    await removeEmpty(partial);
  }
}

/** Whether work in a folder of its own failed because another caller removed it. */
export function isTakenOver(error: unknown): boolean {
  return FafnirError.is(error, 'UNAVAILABLE') && errnoOf(error.cause) === 'ENOENT';
}

/** Gives a folder its name unless a folder with something in it has the name; tells whether it did. */
export async function moveFolder(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (['EEXIST', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** Where the folder of this id in `partial` is while it is removed; the id may be such a name already. */
export function goneFolder(partial: string, id: string): string {
  return join(partial, idOfRest(id) + GONE);
}

/** The id under which something in `partial` was made. */
export function idOfRest(entry: string): string {
  return entry.endsWith(GONE) ? entry.slice(0, -GONE.length) : entry;
}

/**
 * Removes a folder, whole or not at all in the eyes of a caller who is about to rename it: first takes it away from
 * that caller to `gone`, where a repeat finds it should this one die.
 */
export async function discardFolder(path: string, gone: string): Promise<void> {
  try {
    await rename(path, gone);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  await rm(gone, { recursive: true, force: true });
}

/** Removes a folder unless something is in it. */
export async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
    return;
  }
  await syncFolder(dirname(path));
}
