import assert from 'node:assert/strict';
import {
  assertSameIsSame,
  BLOCK,
  call,
  checkedExtents,
  MIB,
  pattern,
  randomNumbers,
  rejectsWith,
  sizeIn,
  snapshotOne,
  volumeWith,
  openSource,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

/** What changed since an older snapshot. */
export const CHANGES: readonly Obligation[] = [
  {
    name: 'changed extents never miss a change',
    needs: 'changes',
    async run(fixture) {
      const { array } = fixture;
      const size = sizeIn(fixture, 4 * MIB + 1000);
      const random = randomNumbers(20_260_101);
      const volume = await volumeWith(fixture, size, [[0, pattern(2 * MIB, 1)]]);
      let older = await snapshotOne(array, volume, 'snap-0');
      for (let round = 1; round <= 6; round += 1) {
        for (let change = 0; change < 10; change += 1) {
          const edge = random(Math.floor(size / BLOCK)) * BLOCK;
          const offset = [edge, Math.max(0, edge - 1), random(size)][random(3)] ?? 0;
          const length = Math.min([1, 2, BLOCK, 100_000][random(4)] ?? 1, size - offset);
          await fixture.write(
            volume,
            offset,
            random(3) === 0 ? new Uint8Array(length) : pattern(length, round),
          );
        }
        const newer = await snapshotOne(array, volume, `snap-${round}`);
        await assertSameIsSame(array, newer, older);
        if (random(2) === 0) older = newer;
      }
    },
  },
  {
    name: 'a change back to the old bytes, to zeros and from zeros is not missed',
    needs: 'changes',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(8 * BLOCK, 1)]]);
      const older = await snapshotOne(array, volume, 'older');
      await fixture.write(volume, BLOCK, new Uint8Array(BLOCK));
      await fixture.write(volume, 20 * BLOCK, pattern(1, 2));
      const middle = await snapshotOne(array, volume, 'middle');
      await fixture.write(volume, BLOCK, pattern(8 * BLOCK, 1).subarray(BLOCK, 2 * BLOCK));
      await fixture.write(volume, 20 * BLOCK, new Uint8Array(1));
      const newer = await snapshotOne(array, volume, 'newer');
      await assertSameIsSame(array, middle, older);
      await assertSameIsSame(array, newer, middle);
      await assertSameIsSame(array, newer, older);
    },
  },
  {
    name: 'changed extents are useful: what was not written is mostly the same',
    needs: 'changes',
    async run(fixture) {
      const { array } = fixture;
      const size = 16 * MIB;
      const volume = await volumeWith(fixture, size, [[0, pattern(size, 1)]]);
      const older = await snapshotOne(array, volume, 'older');
      await fixture.write(volume, 5 * MIB, pattern(BLOCK, 2));
      const newer = await snapshotOne(array, volume, 'newer');
      await using source = await openSource(array, newer, { since: older });
      const same = (await checkedExtents(source)).filter(({ kind }) => kind === 'same');
      assert.ok(same.reduce((sum, { length }) => sum + length, 0) > size / 2);
    },
  },
  {
    name: 'since a snapshot that is gone is NOT_FOUND and names it',
    needs: 'changes',
    async run(fixture) {
      const { array } = fixture;
      const volume = await fixture.createVolume(MIB);
      const older = await snapshotOne(array, volume, 'older-one');
      const newer = await snapshotOne(array, volume, 'newer-one');
      await array.remove(older, call);
      const error = await rejectsWith('NOT_FOUND', array.open(newer, { since: older }, call));
      assert.match(error.message, /older-one/);
    },
  },
  {
    name: 'since is UNSUPPORTED where nothing can tell changes',
    needs: 'no-changes',
    async run(fixture) {
      const volume = await fixture.createVolume(MIB);
      const older = await snapshotOne(fixture.array, volume, 'older');
      const newer = await snapshotOne(fixture.array, volume, 'newer');
      await rejectsWith('UNSUPPORTED', fixture.array.open(newer, { since: older }, call));
    },
  },
];
