import assert from 'node:assert/strict';
import type { ArraySnapshot } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import {
  assertBytes,
  BLOCK,
  call,
  collect,
  MIB,
  pattern,
  readAll,
  rejectsWith,
  volumeWith,
} from './helpers.ts';
import type { Obligation, StorageArrayFixture } from './obligation.ts';

const NAMES = ['2024-01-01T00:00', 'Backup_1', 'before the upgrade'] as const;
/** What might be taken for something else by whatever is below an array. */
const UNSAFE = ['', '/', '../volumes', 'a/b', 'a\0b', 'a\nb'];

/** Snapshots that others made, under names that the array itself refuses. */
export const FOREIGN_NAMES: readonly Obligation[] = [
  {
    name: 'what others named is found, listed, opened and removed like any other',
    needs: 'others',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      for (const name of NAMES) await takeAs(fixture, volume, name);
      await fixture.write(volume, 0, pattern(BLOCK, 2));
      const listed = await collect(array.list('', call));
      assert.deepEqual(
        listed.map((one) => one.name),
        [...NAMES],
      );
      assert.deepEqual(await collect(array.list('Back', call)), listed.slice(1, 2));
      for (const snapshot of listed) {
        assert.deepEqual(await array.find(snapshot.name, call), [snapshot]);
        assert.deepEqual(snapshot.volume, volume);
        assertBytes((await readAll(array, snapshot)).subarray(0, BLOCK), pattern(BLOCK, 1));
      }
      const [first, ...others] = listed;
      assert.ok(first !== undefined);
      await array.remove(first, call);
      await rejectsWith('NOT_FOUND', array.open(first, {}, call));
      assert.deepEqual(await collect(array.list('', call)), others);
    },
  },
  {
    name: 'a snapshot that was made anew under a name is told from the one before',
    needs: 'others',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const older = await takeAs(fixture, volume, 'Backup_1');
      await array.remove(older, call);
      const newer = await takeAs(fixture, volume, 'Backup_1');
      await rejectsWith('NOT_FOUND', array.open(older, {}, call));
      await array.remove(older, call);
      assert.deepEqual(await array.find('Backup_1', call), [newer]);
    },
  },
  {
    name: 'names that the array does not give stay refused, and unsafe ones are no names at all',
    needs: 'others',
    async run(fixture) {
      const { array } = fixture;
      const volume = await fixture.createVolume(MIB);
      for (const name of [...NAMES, ...UNSAFE])
        await rejectsWith('INVALID_ID', array.snapshot([volume], name, call));
      for (const name of UNSAFE) await rejectsWith('INVALID_ID', array.find(name, call));
      assert.deepEqual(await collect(array.list('', call)), []);
    },
  },
];

async function takeAs(
  fixture: StorageArrayFixture,
  volume: ArraySnapshot['volume'],
  name: string,
): Promise<ArraySnapshot> {
  await fixture.snapshotAs?.(volume, name);
  const [taken, ...others] = await fixture.array.find(name, call);
  if (taken !== undefined && others.length === 0) return taken;
  throw new FafnirError('NOT_FOUND', `${others.length} snapshots too many, or none, are named ${name}`);
}
