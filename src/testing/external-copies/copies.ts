import assert from 'node:assert/strict';
import type { SnapshotCopy } from '../../core/contracts/index.ts';
import { call, collect, rejectsWith } from '../storage-array/helpers.ts';
import {
  assertHolds,
  assertNoneOf,
  assertTold,
  change,
  copyOf,
  counted,
  newToken,
  reading,
  sourceOf,
  targetFor,
  volumeOf,
} from './helpers.ts';
import type { Obligation } from './obligation.ts';

const LONGEST_REFERENCE = 65_536;
const COMPARED: readonly SnapshotCopy['proof'][] = ['source-compared', 'restored'];

/** Making copies, reading them, and taking them back. */
export const COPIES: readonly Obligation[] = [
  {
    name: 'copies a snapshot, whatever becomes of the volume, and tells it as a plain record',
    async run(fixture) {
      const { store } = fixture;
      const volume = await volumeOf(fixture, 1);
      const source = await sourceOf(fixture, volume);
      await change(fixture, volume, 2);
      const token = newToken();
      const copy = await store.create(source, token, counted);
      const { kind, location, takenAt, proof } = copy;
      assert.deepEqual(
        { kind, location, takenAt, volume: copy.volume },
        { kind: 'external', location: store.name, takenAt: source.snapshot.takenAt, volume },
      );
      assert.ok(COMPARED.includes(proof), `it was to be source-compared, and is ${proof}`);
      const text = JSON.stringify(copy.reference);
      assert.ok(text.length <= LONGEST_REFERENCE, 'its reference is too long');
      assert.equal(copy.reference.token, token);
      await assertHolds(fixture, { ...copy, reference: JSON.parse(text) }, 1);
    },
  },
  {
    name: 'finds by the token what a dead caller made, and removes that, once',
    async run(fixture) {
      const { store } = fixture;
      const token = newToken();
      assert.deepEqual(
        [...(await store.removeMade(token, call))],
        [],
        'something is removed that is not there',
      );
      const source = await sourceOf(fixture, await volumeOf(fixture, 1));
      const copy = await store.create(source, token, counted);
      assert.deepEqual(await store.create(source, token, counted), copy);
      assert.equal((await store.removeMade(token, call)).length, 1);
      assert.deepEqual([...(await store.removeMade(token, call))], []);
      await rejectsWith('NOT_FOUND', store.open(copy, call));
    },
  },
  {
    name: 'makes again what was taken back, for a call that comes late, and takes that back too',
    async run(fixture) {
      const { store } = fixture;
      const token = newToken();
      const source = await sourceOf(fixture, await volumeOf(fixture, 1));
      await store.create(source, token, counted);
      await store.removeMade(token, call);
      await assertHolds(fixture, await store.create(source, token, counted), 1);
      assert.equal((await store.removeMade(token, call)).length, 1);
    },
  },
  {
    name: 'takes back nothing that another token made',
    async run(fixture) {
      const { store } = fixture;
      const volume = await volumeOf(fixture, 1);
      const kept = await copyOf(fixture, volume);
      const token = newToken();
      await store.create(await sourceOf(fixture, volume), token, counted);
      await store.removeMade(token, call);
      await assertHolds(fixture, kept, 1);
    },
  },
  {
    name: 'removes copies of one volume in any order, twice, and leaves the others whole',
    async run(fixture) {
      const { store } = fixture;
      const volume = await volumeOf(fixture, 1);
      const older = await copyOf(fixture, volume);
      await change(fixture, volume, 2);
      const newer = await copyOf(fixture, volume);
      await assertHolds(fixture, older, 1);
      await store.remove(older, call);
      await assertHolds(fixture, newer, 2);
      await store.remove(newer, call);
      await store.remove(newer, call);
      for (const copy of [older, newer]) await rejectsWith('NOT_FOUND', store.open(copy, call));
    },
  },
  {
    name: 'lists what it holds by what its token begins with, and nothing that is gone',
    async run(fixture) {
      const { store } = fixture;
      const volume = await volumeOf(fixture, 1);
      const [removed, takenBack, kept] = [newToken(), newToken(), newToken()];
      const make = async (token: string): Promise<SnapshotCopy> =>
        store.create(await sourceOf(fixture, volume), token, counted);
      const listed = (prefix: string) => collect(store.list(prefix, call));
      const gone = await make(removed);
      await make(takenBack);
      assert.deepEqual(await listed(takenBack), [{ token: takenBack, volume: volume.id }]);
      await make(kept);
      await store.remove(gone, call);
      await store.removeMade(takenBack, call);
      for (const prefix of ['', 'faf-', kept.slice(0, -1), kept]) {
        const found = (await listed(prefix)).filter(({ token }) =>
          [removed, takenBack, kept].includes(token),
        );
        assert.deepEqual(found, [{ token: kept, volume: volume.id }]);
      }
      assert.deepEqual(await listed(`${kept}-`), []);
    },
  },
  {
    name: 'restores into a volume that held something else, and tells equal volumes from others',
    async run(fixture) {
      const { store } = fixture;
      const copy = await copyOf(fixture, await volumeOf(fixture, 1));
      await using target = await targetFor(fixture, 7);
      const [differs, restores, equals] = [reading(), reading(), reading()];
      await rejectsWith('NOT_PROVEN', store.compare(copy, target, differs));
      await assertTold(target, 7);
      const written = await store.restoreInto(copy, target, restores);
      assert.ok(written > 0 && written <= target.size, `${written} bytes were written`);
      await assertTold(target, 1);
      await store.compare(copy, target, equals);
      for (const read of [differs, restores, equals]) await assertNoneOf(fixture, read);
    },
  },
  {
    name: 'proves by a sample no more than that a copy is stored, and by all of it that it is one',
    async run(fixture) {
      const { store } = fixture;
      const source = await sourceOf(fixture, await volumeOf(fixture, 1), 'stored');
      const copy = await store.create(source, newToken(), counted);
      const read = reading();
      const verify = (sample: number) => store.verify(copy, { level: 'deep', sample }, read);
      assert.equal((await verify(0.5)).proof, 'stored');
      const { proof, confidence } = await verify(1);
      await assertNoneOf(fixture, read);
      assert.ok(COMPARED.includes(proof), `all of it was read, and it is ${proof}`);
      assert.ok(confidence >= 0 && confidence <= 1);
    },
  },
  {
    name: 'leaves nothing of a reading that is stopped, and reads again under its token',
    async run(fixture) {
      const { store } = fixture;
      const copy = await copyOf(fixture, await volumeOf(fixture, 1));
      await using target = await targetFor(fixture, 7);
      const stopped = new AbortController();
      const read = reading();
      const stop = (): void => stopped.abort(new Error('it was stopped'));
      await Promise.allSettled([
        store.restoreInto(copy, target, { ...read, signal: stopped.signal, progress: stop }),
      ]);
      await assertNoneOf(fixture, read);
      await store.restoreInto(copy, target, read);
      await assertTold(target, 1);
    },
  },
  {
    name: 'shows what a dead reading left, and removes it at a repeat and by its token alone',
    needs: 'leave',
    async run(fixture) {
      const { store, leave } = fixture;
      const copy = await copyOf(fixture, await volumeOf(fixture, 1));
      const read = reading();
      const other = { ...read, token: `${read.token}-0` };
      const tokens = async (): Promise<readonly string[]> =>
        (await collect(store.list(read.token, call))).map(({ token }) => token).toSorted();
      for (const { token } of [read, other]) await leave?.(copy, token);
      assert.deepEqual(await tokens(), [read.token, other.token]);
      await store.verify(copy, { level: 'deep', sample: 1 }, read);
      assert.deepEqual(await tokens(), [other.token]);
      await leave?.(copy, read.token);
      assert.equal((await store.removeMade(read.token, call)).length, 1);
      assert.deepEqual(await tokens(), [other.token]);
      assert.equal((await store.removeMade(other.token, call)).length, 1);
      await assertHolds(fixture, copy, 1);
    },
  },
  {
    name: 'says of a copy that is gone that it is',
    async run(fixture) {
      const { store } = fixture;
      const copy = await copyOf(fixture, await volumeOf(fixture, 1));
      await store.remove(copy, call);
      await using target = await targetFor(fixture, 7);
      const request = { level: 'deep', sample: 1 } as const;
      await rejectsWith('NOT_FOUND', store.open(copy, call));
      await rejectsWith('NOT_FOUND', store.restoreInto(copy, target, reading()));
      await rejectsWith('NOT_FOUND', store.compare(copy, target, reading()));
      await rejectsWith('NOT_FOUND', store.verify(copy, request, reading()));
      await assertTold(target, 7);
    },
  },
  {
    name: 'does nothing for a caller who is gone',
    async run(fixture) {
      const { store } = fixture;
      const volume = await volumeOf(fixture, 1);
      const [source, copy, token] = [
        await sourceOf(fixture, volume),
        await copyOf(fixture, volume),
        newToken(),
      ];
      const reason = new Error('the caller is gone');
      const gone = { ...counted, signal: AbortSignal.abort(reason) };
      await assert.rejects(store.create(source, token, gone), reason);
      await assert.rejects(store.remove(copy, gone), reason);
      await assert.rejects(store.removeMade(token, gone), reason);
      await using target = await targetFor(fixture, 7);
      const read = { ...gone, token: newToken() };
      await assert.rejects(store.open(copy, gone), reason);
      await assert.rejects(store.restoreInto(copy, target, read), reason);
      await assert.rejects(store.compare(copy, target, read), reason);
      await assert.rejects(store.verify(copy, { level: 'deep', sample: 1 }, read), reason);
      await assertNoneOf(fixture, read);
      await assertTold(target, 7);
      assert.deepEqual([...(await store.removeMade(token, call))], []);
      await assertHolds(fixture, copy, 1);
    },
  },
  {
    name: 'takes no copy for proven that the service restores wrongly, and leaves none of it',
    needs: 'spoil',
    async run(fixture) {
      const { store, spoil } = fixture;
      const [source, token] = [await sourceOf(fixture, await volumeOf(fixture, 1)), newToken()];
      await spoil?.();
      await rejectsWith('NOT_PROVEN', store.create(source, token, counted));
      assert.deepEqual([...(await store.removeMade(token, call))], []);
    },
  },
  {
    name: 'sees that a copy has gone bad, and writes none of it',
    needs: 'spoil',
    async run(fixture) {
      const { store, spoil } = fixture;
      const copy = await copyOf(fixture, await volumeOf(fixture, 1));
      await using target = await targetFor(fixture, 7);
      await spoil?.();
      const request = { level: 'deep', sample: 1 } as const;
      await rejectsWith('CORRUPT', store.open(copy, call));
      const [restores, equals, verifies] = [reading(), reading(), reading()];
      await rejectsWith('CORRUPT', store.restoreInto(copy, target, restores));
      await rejectsWith('CORRUPT', store.compare(copy, target, equals));
      await rejectsWith('CORRUPT', store.verify(copy, request, verifies));
      for (const read of [restores, equals, verifies]) await assertNoneOf(fixture, read);
      await assertTold(target, 7);
    },
  },
];
