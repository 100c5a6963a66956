import assert from 'node:assert/strict';
import {
  assertBytes,
  BLOCK,
  call,
  collect,
  MIB,
  pattern,
  readAll,
  rejectsWith,
  snapshotOne,
  volumeWith,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

/** Finding, listing and removing by name. */
export const NAMES: readonly Obligation[] = [
  {
    name: 'find knows exactly the name',
    async run(fixture) {
      const volume = await fixture.createVolume(MIB);
      const taken = await snapshotOne(fixture.array, volume, 'snap-1');
      await snapshotOne(fixture.array, volume, 'snap-10');
      assert.deepEqual(await fixture.array.find('snap-1', call), [taken]);
      assert.deepEqual(await fixture.array.find('snap', call), []);
    },
  },
  {
    name: 'list knows what begins with the prefix, in ascending order of name',
    async run(fixture) {
      const { array } = fixture;
      const volume = await fixture.createVolume(MIB);
      const names = ['faf-b', 'faf-a', 'other', 'faf-a-1', 'faf-10', 'faf'];
      for (const name of names) await snapshotOne(array, volume, name);
      const namesOf = async (prefix: string): Promise<string[]> =>
        (await collect(array.list(prefix, call))).map(({ name }) => name);
      assert.deepEqual(await namesOf('faf-'), ['faf-10', 'faf-a', 'faf-a-1', 'faf-b']);
      assert.deepEqual(await namesOf(''), names.toSorted());
      assert.deepEqual(await namesOf('nothing'), []);
    },
  },
  {
    name: 'leaving the loop over list ends it',
    async run(fixture) {
      const volume = await fixture.createVolume(MIB);
      for (const name of ['a', 'b', 'c']) await snapshotOne(fixture.array, volume, name);
      for await (const { name } of fixture.array.list('', call)) {
        assert.equal(name, 'a');
        break;
      }
    },
  },
  {
    name: 'remove may be repeated, and afterwards the name is free',
    async run(fixture) {
      const { array } = fixture;
      const volume = await fixture.createVolume(MIB);
      const taken = await snapshotOne(array, volume, 'snap');
      await array.remove(taken, call);
      await array.remove(taken, call);
      assert.deepEqual(await array.find('snap', call), []);
      await rejectsWith('NOT_FOUND', array.open(taken, {}, call));
      await fixture.write(volume, 0, pattern(BLOCK, 1));
      const again = await snapshotOne(array, volume, 'snap');
      assertBytes((await readAll(array, again)).subarray(0, BLOCK), pattern(BLOCK, 1));
    },
  },
  {
    name: 'remove of one of a set leaves the others',
    async run(fixture) {
      const { array } = fixture;
      const one = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const other = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 2)]]);
      const [first, second] = await array.snapshot([one, other], 'snap', call);
      assert.ok(first !== undefined && second !== undefined);
      await array.remove(first, call);
      assert.deepEqual(await array.find('snap', call), [second]);
      await rejectsWith('NOT_FOUND', array.open(first, {}, call));
      assertBytes((await readAll(array, second)).subarray(0, BLOCK), pattern(BLOCK, 2));
    },
  },
];
