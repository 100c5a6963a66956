import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from './file-errors.ts';

/** Of Linux, on all processors that Node runs on; Node does not tell it. */
const O_TMPFILE = 0o20_000_000 | constants.O_DIRECTORY;

/** Opens a new file in a folder, to read and write, that has no name: it ends with the process at the latest. */
export async function openNameless(folder: string): Promise<FileHandle> {
  try {
    return await open(folder, O_TMPFILE | constants.O_RDWR, 0o600);
  } catch {
    // Not every file system can; where it is the folder that is at fault, this fails with the same.
    return await openUnlinked(join(folder, '.probe'));
  }
}

/**
 * Opens a new file that loses its name at once. The name is the same for all, so that the next one finds the file of
 * one who died in between.
 */
export async function openUnlinked(path: string): Promise<FileHandle> {
  for (;;) {
    await rm(path, { force: true });
    try {
      const file = await open(path, 'wx+', 0o600);
      await rm(path, { force: true });
      return file;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}
