import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ArraySnapshot } from '../../core/contracts/index.ts';
import {
  assertBytes,
  call,
  MIB,
  openSource,
  pattern,
  randomOf,
  readSource,
  rejectsWith,
  sizeIn,
  snapshotOne,
  volumeWith,
} from './helpers.ts';
import type { Obligation, StorageArrayFixture } from './obligation.ts';

/** Nobody else's, also where cases run beside each other on one system. */
const newToken = (): string => `reader-${randomUUID()}`;

/** A snapshot of a volume that was written, all of it. */
async function filled(fixture: StorageArrayFixture): Promise<{ bytes: Uint8Array; taken: ArraySnapshot }> {
  const size = sizeIn(fixture, MIB);
  const bytes = pattern(size, 1);
  const volume = await volumeWith(fixture, size, [[0, bytes]]);
  return { bytes, taken: await snapshotOne(fixture.array, volume, 'snap') };
}

/** Readers that have names. */
export const READINGS: readonly Obligation[] = [
  {
    name: 'readers with tokens of their own are not in the way of each other, nor of one without',
    async run(fixture) {
      const { array } = fixture;
      const { bytes, taken } = await filled(fixture);
      await using unnamed = await array.open(taken, {}, call);
      await using longest = await array.open(taken, { token: newToken().padEnd(64, '-z9') }, call);
      const first = await array.open(taken, { token: newToken() }, call);
      await first.close();
      for (const source of [longest, unnamed]) assertBytes(await readSource(await randomOf(source)), bytes);
    },
  },
  {
    name: 'one process opens a snapshot more than once under a token',
    async run(fixture) {
      const { array } = fixture;
      const { bytes, taken } = await filled(fixture);
      const token = newToken();
      await using source = await array.open(taken, { token }, call);
      {
        await using again = await openSource(array, taken, { token });
        assertBytes(await readSource(again), bytes);
      }
      assertBytes(await readSource(await randomOf(source)), bytes);
    },
  },
  {
    name: 'what was made to be read goes by its token, is told of once, and closes as ever',
    needs: 'readings',
    async run(fixture) {
      const { array } = fixture;
      const end = async (token: string): Promise<number> => {
        const told = [...((await array.endReading?.(token, call)) ?? [])];
        assert.ok(
          told.every((one) => typeof one === 'string' && one !== ''),
          'it is told of in words',
        );
        return told.length;
      };
      const { bytes, taken } = await filled(fixture);
      const dead = newToken();
      const live = `${dead}0`;
      assert.equal(await end(dead), 0, 'something is told of that nobody made');
      const abandoned = await array.open(taken, { token: dead }, call);
      await using other = await array.open(taken, { token: live }, call);
      assert.ok((await end(dead)) > 0, 'nothing is told of what went');
      assert.equal(await end(dead), 0, 'it is told of twice');
      assertBytes(await readSource(await randomOf(other)), bytes);
      await abandoned.close();
      {
        await using again = await openSource(array, taken, { token: dead });
        assertBytes(await readSource(again), bytes);
      }
      await other.close();
      for (const token of [dead, live]) assert.equal(await end(token), 0, 'what was closed left something');
    },
  },
  {
    name: 'what is no token is INVALID_ID',
    needs: 'readings',
    async run(fixture) {
      const { array } = fixture;
      const taken = await snapshotOne(array, await fixture.createVolume(sizeIn(fixture, MIB)), 'snap');
      for (const token of ['', 'Reader', '../reader', 'r'.repeat(65)]) {
        await rejectsWith('INVALID_ID', array.open(taken, { token }, call));
        await rejectsWith('INVALID_ID', Promise.resolve(array.endReading?.(token, call)));
      }
    },
  },
  {
    name: 'a snapshot can be removed that a dead reader had open, whose reading ends all the same',
    needs: 'readings',
    async run(fixture) {
      const { array } = fixture;
      const taken = await snapshotOne(array, await fixture.createVolume(sizeIn(fixture, MIB)), 'snap');
      const token = newToken();
      const abandoned = await array.open(taken, { token }, call);
      await array.remove(taken, call);
      assert.deepEqual([...(await array.find('snap', call))], []);
      await array.endReading?.(token, call);
      assert.deepEqual([...((await array.endReading?.(token, call)) ?? [])], []);
      await abandoned.close();
    },
  },
];
