import * as runner from 'vitest';
import { rbdArray } from '../../src/arrays/rbd.ts';
import type { VolumeRef } from '../../src/core/contracts/index.ts';
import { storageArraySuite } from '../../src/testing/storage-array-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { type Ceph, cephLab } from '../lab/ceph/ceph.ts';
import { clear, prefixed, rbd, written } from '../lab/ceph/pool.ts';

const { ceph, skipped } = cephLab();
const call = { signal: new AbortController().signal };
const prefix = 'conformance-';
const suiteOn = (lab: Ceph) => {
  const create = async () => {
    const array = prefixed(rbdArray({ name: 'rbd', ...lab.rbd }), prefix);
    const target = array.target ?? runner.expect.fail();
    let made = 0;
    const createVolume = (size: number) => target.create({ name: `volume-${made++}`, size }, call);
    const write = (volume: VolumeRef, offset: number, data: Uint8Array) => written(lab, volume, offset, data);
    const snapshotAs = async ({ id }: VolumeRef, name: string): Promise<void> => {
      await rbd(lab, 'snap', 'create', '--no-progress', `${lab.admin.pool}/${id}@${name}`);
    };
    await clear(lab, prefix);
    return { array, sizeUnit: 512, createVolume, write, snapshotAs, dispose: () => clear(lab, prefix) };
  };
  return storageArraySuite({ name: 'rbdArray on Ceph', create });
};
if (ceph === undefined)
  runner.describe.skip(`rbdArray on Ceph (${skipped})`, () => runner.it('needs the lab', () => undefined));
else registerSuite(await suiteOn(ceph), runner);
