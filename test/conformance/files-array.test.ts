import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as runner from 'vitest';
import { filesArray } from '../../src/arrays/files.ts';
import { storageArraySuite } from '../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { xfsLab } from '../lab/xfs/xfs.ts';

const signal = new AbortController().signal;
const lab = xfsLab();
const suiteIn = (name: string, folder: string) => {
  const create = async () => {
    const root = await mkdtemp(join(folder, 'files-array-'));
    const array = filesArray({ name: 'files', root });
    let made = 0;
    const createVolume = async (size: number) =>
      (await array.target?.create({ name: `volume-${made++}`, size }, { signal })) ?? expect.fail();
    const write = async (volume: { id: string }, offset: number, data: Uint8Array) => {
      await using file = await open(join(root, 'volumes', `${volume.id}.raw`), 'r+');
      await file.write(data, 0, data.length, offset);
    };
    return { array, createVolume, write, dispose: () => rm(root, { recursive: true, force: true }) };
  };
  return storageArraySuite({ name, create });
};
const { expect } = runner;
registerSuite(await suiteIn('files on the temp directory', tmpdir()), runner);
if (lab.path !== undefined) registerSuite(await suiteIn('files on XFS', lab.path), runner);
else runner.describe.skip(`files on XFS (${lab.skipped})`, () => runner.it('needs the lab', () => undefined));
