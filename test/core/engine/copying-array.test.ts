import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as runner from 'vitest';
import { filesArray } from '../../../src/arrays/files.ts';
import { storageArraySuite } from '../../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../../src/testing/suite.ts';
import { renamedSnapshot } from '../../arrays/renamed-snapshot.ts';
import { readingByCopies } from './copying-array.ts';

const signal = new AbortController().signal;
const create = async () => {
  const root = await mkdtemp(join(tmpdir(), 'copying-array-'));
  const copies = join(root, 'copies');
  const array = readingByCopies(filesArray({ name: 'copying', root }), copies);
  const target = array.target ?? runner.expect.fail();
  const createVolume = (size: number) => target.create({ name: crypto.randomUUID(), size }, { signal });
  const write = async (volume: { id: string }, offset: number, data: Uint8Array) => {
    await using file = await open(join(root, 'volumes', `${volume.id}.raw`), 'r+');
    await file.write(data, 0, data.length, offset);
  };
  const dispose = async () => {
    runner.expect(await readdir(copies).catch(() => [])).toEqual([]);
    await rm(root, { recursive: true, force: true });
  };
  return { array, createVolume, write, snapshotAs: renamedSnapshot(array, root), dispose };
};
registerSuite(await storageArraySuite({ name: 'an array that is read by copies', create }), runner);
