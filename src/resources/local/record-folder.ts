import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, opendir, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';
import { isId } from '../../core/identity.ts';
import { corrupt, onPath } from './file-error.ts';

const LARGEST = 1024 * 1024;
const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * A folder of a local system, with a record `<id>.json` for each resource. No link in it is followed. What is
 * written is whole and survives a power loss once the promise has resolved. A missing folder is an empty one.
 */
export interface RecordFolder {
  /** Where the record of an id is; `INVALID_ID` for what is none. */
  path(id: string): string;
  /** The ids that have a file of this extension (`.json`, `.raw`), lazily; other names are not ours. */
  ids(extension: string, call: CallOptions): AsyncIterable<string>;
  /** The bytes in a regular file of the folder, or undefined where there is none. */
  size(id: string, extension: string): Promise<number | undefined>;
  /** The text of a record, or undefined where there is none; `CORRUPT` above 1 MiB. */
  read(id: string): Promise<string | undefined>;
  /** Adds a record; false where the id has one, which is left alone. */
  create(id: string, record: JsonObject): Promise<boolean>;
  /** Puts a record in the place of the one that the id has. */
  replace(id: string, record: JsonObject): Promise<void>;
  /** Removes a record; a missing one is success. */
  remove(id: string): Promise<void>;
  /** Makes what a dead process changed survive a power loss. */
  sync(): Promise<void>;
}

/** The folder `name` below the root of a local system. */
export function recordFolder(root: string, name: string): RecordFolder {
  const folder = join(resolve(root), name);

  const pathOf = (id: string, extension: string): string => {
    // An id is a file's name, so nothing else may ever become part of a path.
    if (isId(id)) return join(folder, id + extension);
    throw new FafnirError('INVALID_ID', `not an id in ${folder}: ${JSON.stringify(id.slice(0, 128))}`);
  };

  const write = async (
    id: string,
    record: JsonObject,
    place: (temporary: string, path: string) => Promise<void>,
  ): Promise<void> => {
    const path = pathOf(id, '.json');
    // Compact, so that a record that could be read as people wrote it can also be written again.
    const text = JSON.stringify(record);
    if (Buffer.byteLength(text) > LARGEST) throw corrupt(path, 'the record would be larger than 1 MiB');
    await onPath(path, async () => {
      await makeFolder(folder);
      // No id begins with ~, so that an unfinished file is never taken for a record.
      const temporary = join(folder, `~${randomBytes(16).toString('hex')}`);
      try {
        await withFile(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, async (file) => {
          await file.writeFile(text);
          await file.sync();
        });
        await place(temporary, path);
        await syncFolder(folder);
      } finally {
        await rm(temporary, { force: true });
      }
    });
  };

  return {
    path: (id) => pathOf(id, '.json'),

    async *ids(extension, { signal }) {
      if (!(await onPath(folder, () => folderExists(folder)))) return;
      const entries = await onPath(folder, () => opendir(folder));
      try {
        for (;;) {
          signal.throwIfAborted();
          const entry = await onPath(folder, () => entries.read());
          if (entry === null) return;
          const id = entry.name.slice(0, -extension.length);
          if (entry.name.endsWith(extension) && isId(id)) yield id;
        }
      } finally {
        await entries.close();
      }
    },

    async size(id, extension) {
      const path = pathOf(id, extension);
      return await onPath(path, async () => {
        if (!(await folderExists(folder))) return undefined;
        const stats = await unlessMissing(() => lstat(path));
        if (stats !== undefined && !stats.isFile()) throw corrupt(path, 'not a regular file');
        return stats?.size;
      });
    },

    async read(id) {
      const path = pathOf(id, '.json');
      return await onPath(path, async () => {
        if (!(await folderExists(folder))) return undefined;
        // Without O_NONBLOCK, opening a pipe would wait for a writer.
        return await unlessMissing(() => withFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, readText(path)));
      });
    },

    async create(id, record) {
      let created = true;
      await write(id, record, async (temporary, path) => {
        try {
          await link(temporary, path);
        } catch (error) {
          if (errnoOf(error) !== 'EEXIST') throw error;
          created = false;
        }
      });
      return created;
    },

    replace: (id, record) => write(id, record, rename),

    async remove(id) {
      const path = pathOf(id, '.json');
      await onPath(path, async () => {
        if (!(await folderExists(folder))) return;
        await unlessMissing(() => unlink(path));
        await syncFolder(folder);
      });
    },

    async sync() {
      await onPath(folder, async () => {
        if (await folderExists(folder)) await syncFolder(folder);
      });
    },
  };
}

async function withFile<Result>(
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

const readText =
  (path: string) =>
  async (file: FileHandle): Promise<string> => {
    const stats = await file.stat();
    if (!stats.isFile()) throw corrupt(path, 'not a regular file');
    if (stats.size > LARGEST) throw corrupt(path, 'larger than 1 MiB');
    const buffer = Buffer.alloc(stats.size);
    const { bytesRead } = await file.read(buffer, 0, stats.size, 0);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead));
    } catch (error) {
      throw corrupt(path, 'not UTF-8', error);
    }
  };

async function unlessMissing<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function folderExists(folder: string): Promise<boolean> {
  const stats = await unlessMissing(() => lstat(folder));
  // A code of its own: a damaged record can be passed by, a folder that may lead elsewhere cannot.
  if (stats !== undefined && !stats.isDirectory()) {
    throw new FafnirError('ACCESS_DENIED', `${folder}: not a directory; links are not followed`);
  }
  return stats !== undefined;
}

async function makeFolder(folder: string): Promise<void> {
  if (await folderExists(folder)) return;
  const first = (await mkdir(folder, { recursive: true })) ?? folder;
  // A new directory survives a power loss only once its parent has been synchronised.
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(folder: string): Promise<void> {
  await withFile(folder, O_RDONLY | O_DIRECTORY, (file) => file.sync());
}
