import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as runner from 'vitest';
import { filesArray } from '../../src/arrays/files.ts';
import { storageArraySuite } from '../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { renamedSnapshot } from '../arrays/renamed-snapshot.ts';
import { xfsLab } from '../lab/xfs/xfs.ts';

const signal = new AbortController().signal;
const lab = xfsLab();
const suiteIn = (name: string, folder: string) => {
  const create = async () => {
    const root = await mkdtemp(join(folder, 'files-array-'));
    const array = filesArray({ name: 'files', root });
    const target = array.target ?? runner.expect.fail();
    const createVolume = (size: number) => target.create({ name: crypto.randomUUID(), size }, { signal });
    const write = async (volume: { id: string }, offset: number, data: Uint8Array) => {
      await using file = await open(join(root, 'volumes', `${volume.id}.raw`), 'r+');
      await file.write(data, 0, data.length, offset);
    };
    const dispose = () => rm(root, { recursive: true, force: true });
    return { array, createVolume, write, snapshotAs: renamedSnapshot(array, root), dispose };
  };
  return storageArraySuite({ name, create });
};
registerSuite(await suiteIn('files on the temp directory', tmpdir()), runner);
if (lab.path !== undefined) registerSuite(await suiteIn('files on XFS', lab.path), runner);
else runner.describe.skip(`files on XFS (${lab.skipped})`, () => runner.it('needs the lab', () => undefined));
