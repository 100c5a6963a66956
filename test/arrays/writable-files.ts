import { randomUUID } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesArray } from '../../src/arrays/files.ts';
import { targetOf } from '../../src/testing/storage-array/helpers.ts';
import type { StorageArrayFixture } from '../../src/testing/storage-array-suite.ts';

const signal = new AbortController().signal;

/** An array of files in a folder of its own, and its volumes' user. */
export async function writableFiles(): Promise<StorageArrayFixture> {
  const root = await mkdtemp(join(tmpdir(), 'files-array-'));
  const array = filesArray({ name: 'files', root });
  return {
    array,
    createVolume: (size) => targetOf(array).create({ name: randomUUID(), size }, { signal }),
    async write({ id }, offset, data) {
      await using file = await open(join(root, 'volumes', `${id}.raw`), 'r+');
      await file.write(data, 0, data.length, offset);
    },
    dispose: () => rm(root, { recursive: true, force: true }),
  };
}
