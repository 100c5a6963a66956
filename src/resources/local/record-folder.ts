import { constants } from 'node:fs';
import { type FileHandle, lstat, opendir, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isId } from '../../core/identity.ts';
import { type Draft, removeDrafts, withDraft } from './draft.ts';
import { corrupt, onPath } from './file-error.ts';
import { folderExists, syncFolder, unlessMissing, withFile } from './files.ts';

const LARGEST = 1024 * 1024;
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

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
  /**
   * Writes a record aside and lets `place` give it its id. Callers with one token take turns, also in different
   * processes: each takes away the drafts of the others, dead or alive, before `place` begins, and one who lost its
   * own begins anew. So nobody else with the token places a record between the beginning of `place` and the placing.
   */
  write<Result>(
    token: string,
    record: JsonObject,
    place: (draft: Draft) => Promise<Result>,
    call: CallOptions,
  ): Promise<Result>;
  /** Removes a record; a missing one is success. */
  remove(id: string): Promise<void>;
  /** Removes the drafts that dead callers left under a token; a living one begins anew. */
  sweep(token: string): Promise<void>;
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
  // No id begins with ~, so that nothing unfinished is ever taken for a record.
  const asideOf = (token: string): string => {
    if (isId(token)) return join(folder, `~${token}`);
    throw new FafnirError('INVALID_ID', 'not a token');
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

    async write(token, record, place, call) {
      const aside = asideOf(token);
      // Compact, so that a record that could be read as people wrote it can also be written again.
      const text = JSON.stringify(record);
      if (Buffer.byteLength(text) > LARGEST) throw corrupt(folder, 'a record would be larger than 1 MiB');
      return await withDraft({ folder, aside, text, pathOf: (id) => pathOf(id, '.json') }, place, call);
    },

    async remove(id) {
      const path = pathOf(id, '.json');
      await onPath(path, async () => {
        if (!(await folderExists(folder))) return;
        await unlessMissing(() => unlink(path));
        await syncFolder(folder);
      });
    },

    async sweep(token) {
      const aside = asideOf(token);
      await onPath(aside, async () => {
        if (await folderExists(folder)) await removeDrafts(aside);
      });
    },

    async sync() {
      await onPath(folder, async () => {
        if (await folderExists(folder)) await syncFolder(folder);
      });
    },
  };
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
