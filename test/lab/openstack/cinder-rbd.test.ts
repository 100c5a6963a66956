import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { CinderArrayOptions } from '../../../src/arrays/cinder.ts';
import type { CallOptions, StorageArray, VolumeRef } from '../../../src/core/contracts/index.ts';
import { collect, pattern, snapshotOne, targetOf } from '../../../src/testing/storage-array/helpers.ts';
import { CinderProject, startOf } from './cinder.ts';
import { openStackLab } from './openstack.ts';

const { openstack, skipped = 'start the lab of Ceph before that of OpenStack' } = openStackLab();
const call: CallOptions = { signal: new AbortController().signal };
const GIB = 2 ** 30;

if (openstack?.rbd === undefined)
  describe.skip(`Cinder on Ceph (${skipped})`, () => test('needs the lab', () => undefined));
else {
  const { rbd } = openstack;
  const project = await CinderProject.create(openstack);
  afterAll(() => project.remove());
  describe('Cinder on Ceph', () => suite(project, [{ kind: 'rbd', ...rbd }]));
}

function suite(project: CinderProject, paths: CinderArrayOptions['paths']): void {
  const ceph = project.array({ volumeType: 'rbd', backend: 'rbd', paths });
  const flattened = project.array({ volumeType: 'rbd-flattened', backend: 'rbd-flattened', paths });
  afterEach(() => project.clear());
  const make = (array: StorageArray): Promise<VolumeRef> =>
    targetOf(array).create({ name: randomUUID(), size: GIB }, call);
  const write = async (
    array: StorageArray,
    volume: VolumeRef,
    offset: number,
    data: Uint8Array,
  ): Promise<void> => {
    await using target = await targetOf(array).openForWrite(volume, call);
    await target.write(offset, data, call);
    await target.flush(call);
  };

  const bytesOf = async (array: StorageArray, volume: VolumeRef): Promise<Uint8Array> => {
    await using target = await targetOf(array).openForWrite(volume, call);
    const bytes = new Uint8Array(8_192);
    await target.readInto(4_096, bytes, call);
    return bytes;
  };

  test('reads and writes the images of Cinder, and what changed in them', async () => {
    const volume = await make(ceph);
    const before = pattern(100_000, 1);
    await write(ceph, volume, 4_096, before);
    const older = await snapshotOne(ceph, volume, 'older');
    await write(ceph, volume, 65_536, pattern(512, 2));
    const newer = await snapshotOne(ceph, volume, 'newer');
    expect((await startOf(ceph, older)).subarray(4_096, 104_096).equals(before)).toBe(true);
    const start = await startOf(ceph, newer);
    expect(start.subarray(65_536, 66_048).equals(pattern(512, 2))).toBe(true);
    {
      await using source = await ceph.open(newer, { since: older }, call);
      if (source.access !== 'sequential') return expect.fail();
      const changed = (await collect(source.blocks(call))).filter(({ kind }) => kind !== 'same');
      expect(changed.map(({ offset }) => offset)).toEqual([65_536]);
    }
    // By nothing but what Cinder and Glance do, the same bytes.
    const byImages = project.array({ volumeType: 'rbd', backend: 'rbd', paths: [{ kind: 'image' }] });
    const same = await byImages.find('newer', call);
    expect(start.equals(await startOf(byImages, same[0] ?? expect.fail()))).toBe(true);
    expect(await project.left()).toEqual([
      'snapshots/newer',
      'snapshots/older',
      expect.stringMatching(/^volumes\/(?!fafnir-)/),
    ]);
  });

  test('reverts to any snapshot, and keeps those that are later', async () => {
    const volume = await make(ceph);
    await write(ceph, volume, 4_096, pattern(8_192, 1));
    const older = await snapshotOne(ceph, volume, 'older');
    await write(ceph, volume, 4_096, pattern(8_192, 2));
    const newer = await snapshotOne(ceph, volume, 'newer');
    await ceph.revert?.(older, call);
    expect(await bytesOf(ceph, volume)).toEqual(pattern(8_192, 1));
    await ceph.revert?.(newer, call);
    expect(await bytesOf(ceph, volume)).toEqual(pattern(8_192, 2));
    expect((await startOf(ceph, older)).subarray(4_096, 12_288).equals(pattern(8_192, 1))).toBe(true);
  });

  test('a snapshot that volumes were made from is BUSY until they are gone', async () => {
    const volume = await make(ceph);
    const taken = await snapshotOne(ceph, volume, 'kept');
    const name = 'clone';
    const clone = await project.volume({ name, volume_type: 'rbd', snapshot_id: String(taken.reference.id) });
    await expect(ceph.remove(taken, call)).rejects.toMatchObject({ code: 'BUSY', retryable: false });
    expect(await ceph.find('kept', call)).toEqual([taken]);
    await targetOf(ceph).remove({ ...volume, id: clone }, call);
    await ceph.remove(taken, call);
    expect(await project.left()).toEqual([expect.stringMatching(/^volumes\//)]);
  });

  test('clones where the operator has them flattened need no snapshot', async () => {
    expect(ceph.clone).toBeUndefined();
    const volume = await make(flattened);
    await write(flattened, volume, 4_096, pattern(8_192, 1));
    const taken = await snapshotOne(flattened, volume, 'source');
    const clone = (await flattened.clone?.(taken, 'clone', call)) ?? expect.fail();
    await flattened.remove(taken, call);
    await targetOf(flattened).remove(volume, call);
    expect(await bytesOf(flattened, clone)).toEqual(pattern(8_192, 1));
    expect(await project.left()).toEqual(['volumes/clone']);
  });
}
