import assert from 'node:assert/strict';
import type { CallOptions, StorageArray, VolumeRef } from '../../core/contracts/index.ts';
import { assertBytes, call, collect, MIB, pattern, readAll, rejectsWith, volumeWith } from './helpers.ts';
import type { Obligation, StorageArrayFixture } from './obligation.ts';

const asGroup = { ...call, group: true };

/** Volumes with a byte each of their own, that are one group. */
async function groupOf(fixture: StorageArrayFixture, members: number): Promise<readonly VolumeRef[]> {
  const volumes: VolumeRef[] = [];
  for (let at = 0; at < members; at += 1)
    volumes.push(await volumeWith(fixture, MIB, [[at, pattern(9, at)]]));
  await fixture.formGroup?.(volumes);
  return volumes;
}

const isGroup = async (
  array: StorageArray,
  volumes: readonly VolumeRef[],
  how: CallOptions = call,
): Promise<boolean> => {
  assert.ok(array.isGroup !== undefined);
  return await array.isGroup(volumes, how);
};

/** The role `isGroup`, and what `snapshot` does then. */
export const GROUPS: readonly Obligation[] = [
  {
    name: 'isGroup: the volumes of a group are one, in any order; fewer of them, and more, are not',
    needs: 'groups',
    async run(fixture) {
      const { array } = fixture;
      const volumes = await groupOf(fixture, 3);
      assert.equal(await isGroup(array, volumes), true);
      assert.equal(await isGroup(array, volumes.toReversed()), true);
      assert.equal(await isGroup(array, volumes.slice(1)), false);
      assert.equal(await isGroup(array, [...volumes, await fixture.createVolume(MIB)]), false);
      const [first] = volumes;
      assert.ok(first !== undefined);
      await rejectsWith('NOT_FOUND', isGroup(array, [first, { ...first, id: 'missing' }]));
      await rejectsWith('UNKNOWN_ARRAY', isGroup(array, [first, { ...first, array: 'another' }]));
      await assert.rejects(isGroup(array, volumes, { signal: AbortSignal.abort(new Error('no')) }));
    },
  },
  {
    name: 'isGroup: a set over a group tells one instant, is found again, and is removed volume by volume',
    needs: 'groups',
    async run(fixture) {
      const { array } = fixture;
      const volumes = await groupOf(fixture, 2);
      const taken = await array.snapshot(volumes, 'snap', asGroup);
      assert.equal(new Set(taken.map(({ takenAt }) => takenAt)).size, 1);
      for (const volume of volumes) await fixture.write(volume, 0, pattern(99, 7));
      for (const [at, snapshot] of taken.entries()) {
        assert.deepEqual(snapshot.volume, volumes[at]);
        assertBytes((await readAll(array, snapshot)).subarray(at, at + 9), pattern(9, at));
      }
      assert.deepEqual(await array.snapshot(volumes, 'snap', asGroup), taken);
      for (const [at, snapshot] of taken.entries()) {
        await array.remove(snapshot, call);
        await array.remove(snapshot, call);
        await rejectsWith('NOT_FOUND', array.open(snapshot, {}, call));
        const left = taken.slice(at + 1);
        assertSameSet(await array.find('snap', call), left);
        assertSameSet(await collect(array.list('', call)), left);
        if (left.length > 0) await rejectsWith('ALREADY_EXISTS', array.snapshot(volumes, 'snap', asGroup));
      }
    },
  },
  {
    name: 'isGroup: volumes that are no group are NOT_ONE_INSTANT as one, and nothing is kept',
    needs: 'groups',
    async run(fixture) {
      const { array } = fixture;
      const volumes = (await groupOf(fixture, 3)).slice(1);
      await rejectsWith('NOT_ONE_INSTANT', array.snapshot(volumes, 'snap', asGroup));
      assert.deepEqual(await array.find('snap', call), []);
      assert.equal((await array.snapshot(volumes, 'snap', call)).length, 2);
    },
  },
];

function assertSameSet(actual: readonly unknown[], expected: readonly unknown[]): void {
  const sorted = (some: readonly unknown[]): readonly string[] =>
    some.map((one) => JSON.stringify(one)).toSorted();
  assert.deepEqual(sorted(actual), sorted(expected));
}
