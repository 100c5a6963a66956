import assert from 'node:assert/strict';
import type { CallOptions, VolumeRef } from '../../core/contracts/index.ts';
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

/** Taking snapshots: what they hold, repeats and refusals. */
export const SNAPSHOTS: readonly Obligation[] = [
  {
    name: 'declares capabilities that the contract allows, and the same ones again',
    async run({ array }) {
      const first = await array.capabilities(call);
      assert.equal(array.contract, 1);
      assert.ok(first.nameLength >= 48);
      assert.ok(first.concurrency >= 1);
      assert.deepEqual(await array.capabilities(call), first);
    },
  },
  {
    name: 'a snapshot keeps its bytes whatever is written to the volume later',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [
        [0, pattern(BLOCK, 1)],
        [500_000, pattern(3, 2)],
      ]);
      const before = await snapshotOne(array, volume, 'snap');
      const expected = await readAll(array, before);
      assertBytes(expected.subarray(0, BLOCK), pattern(BLOCK, 1));
      assertBytes(expected.subarray(500_000, 500_003), pattern(3, 2));
      await fixture.write(volume, 0, pattern(2 * BLOCK, 3));
      await fixture.write(volume, MIB - 1, pattern(1, 4));
      assertBytes(await readAll(array, before), expected);
    },
  },
  {
    name: 'a snapshot has the name, volume, size and time that were asked for',
    async run(fixture) {
      const volume = await fixture.createVolume(MIB);
      const name = `a${'b-9'.repeat(15)}cd`;
      const taken = await snapshotOne(fixture.array, volume, name);
      assert.equal(taken.name, name);
      assert.deepEqual(taken.volume, volume);
      assert.equal(new Date(taken.takenAt).toISOString(), taken.takenAt);
      assert.deepEqual(JSON.parse(JSON.stringify(taken)), taken);
    },
  },
  {
    name: 'a repeat with the same name and volumes returns the same snapshots',
    async run(fixture) {
      const { array } = fixture;
      const volumes = [await fixture.createVolume(MIB), await fixture.createVolume(2 * MIB)];
      const first = await array.snapshot(volumes, 'snap', call);
      for (const volume of volumes) await fixture.write(volume, 0, pattern(BLOCK, 1));
      assert.deepEqual(await array.snapshot(volumes, 'snap', call), first);
      for (const snapshot of first) assert.ok((await readAll(array, snapshot)).every((byte) => byte === 0));
    },
  },
  {
    name: 'what is written once the array says that they are taken is not in the snapshots',
    async run(fixture) {
      const { array } = fixture;
      const volumes: VolumeRef[] = [];
      for (let at = 0; at < 2; at += 1)
        volumes.push(await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]));
      const { promise: instant, resolve: taken } = Promise.withResolvers<void>();
      const made = array.snapshot(volumes, 'snap', { ...call, isFirst: true, taken });
      await Promise.race([instant, made]);
      for (const volume of volumes) await fixture.write(volume, 0, pattern(BLOCK, 2));
      const snapshots = await made;
      assert.deepEqual(await array.snapshot(volumes, 'snap', call), snapshots);
      for (const snapshot of snapshots) {
        assertBytes((await readAll(array, snapshot)).subarray(0, BLOCK), pattern(BLOCK, 1));
      }
    },
  },
  {
    name: 'repeats at the same time end with one set',
    async run(fixture) {
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const both = [1, 2].map(() => fixture.array.snapshot([volume], 'snap', call));
      const [one, other] = await Promise.all(both);
      assert.deepEqual(one, other);
      assert.deepEqual(await fixture.array.find('snap', call), one);
    },
  },
  {
    name: 'answers in the order of the volumes',
    async run(fixture) {
      const volumes = [await fixture.createVolume(MIB), await fixture.createVolume(2 * MIB)];
      const reversed = volumes.toReversed();
      const taken = await fixture.array.snapshot(reversed, 'snap', call);
      assert.deepEqual(
        taken.map(({ volume }) => volume),
        reversed,
      );
      const again = await fixture.array.snapshot(volumes, 'snap', call);
      assert.deepEqual(
        again.map(({ volume }) => volume),
        volumes,
      );
    },
  },
  {
    name: 'the same name for other volumes is ALREADY_EXISTS and changes nothing',
    async run(fixture) {
      const { array } = fixture;
      const [one, other] = [await fixture.createVolume(MIB), await fixture.createVolume(MIB)];
      const taken = await array.snapshot([one], 'snap', call);
      await rejectsWith('ALREADY_EXISTS', array.snapshot([other], 'snap', call));
      await rejectsWith('ALREADY_EXISTS', array.snapshot([one, other], 'snap', call));
      assert.deepEqual(await array.find('snap', call), taken);
    },
  },
  {
    name: 'a missing volume is NOT_FOUND and leaves nothing',
    async run(fixture) {
      const { array } = fixture;
      const volume = await fixture.createVolume(MIB);
      const missing = { ...volume, id: 'missing' };
      await rejectsWith('NOT_FOUND', array.snapshot([volume, missing], 'snap', call));
      assert.deepEqual(await array.find('snap', call), []);
      assert.deepEqual(await collect(array.list('', call)), []);
    },
  },
  {
    name: 'a set over several volumes tells one instant and holds the bytes of each',
    needs: 'group',
    async run(fixture) {
      const volumes: VolumeRef[] = [];
      for (let at = 0; at < 4; at += 1) volumes.push(await volumeWith(fixture, MIB, [[at, pattern(99, at)]]));
      const taken = await fixture.array.snapshot(volumes, 'snap', call);
      assert.equal(new Set(taken.map(({ takenAt }) => takenAt)).size, 1);
      for (const [at, snapshot] of taken.entries()) {
        assertBytes((await readAll(fixture.array, snapshot)).subarray(at, at + 99), pattern(99, at));
      }
    },
  },
  {
    name: 'an aborted call has no effect',
    async run(fixture) {
      const { array } = fixture;
      const volume = await volumeWith(fixture, MIB, [[0, pattern(BLOCK, 1)]]);
      const taken = await snapshotOne(array, volume, 'kept');
      const aborted: CallOptions = { signal: AbortSignal.abort(new Error('no longer wanted')) };
      await assert.rejects(array.snapshot([volume], 'snap', aborted));
      await assert.rejects(array.remove(taken, aborted));
      await assert.rejects(array.open(taken, {}, aborted));
      await assert.rejects(collect(array.list('', aborted)));
      if (array.target !== undefined) {
        await assert.rejects(array.target.create({ name: 'made', size: MIB }, aborted));
        await assert.rejects(array.target.remove(volume, aborted));
        await rejectsWith('NOT_FOUND', array.target.openForWrite({ ...volume, id: 'made' }, call));
      }
      await fixture.write(volume, 0, pattern(BLOCK, 2));
      if (array.revert !== undefined) await assert.rejects(array.revert(taken, aborted));
      assert.deepEqual(await collect(array.list('', call)), [taken]);
      const now = await readAll(array, await snapshotOne(array, volume, 'now'));
      assertBytes(now.subarray(0, BLOCK), pattern(BLOCK, 2));
    },
  },
];
