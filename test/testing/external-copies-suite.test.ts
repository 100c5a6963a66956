import { expect, test } from 'vitest';
import type { ExternalCopies, ExternalMade } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { externalCopiesSuite } from '../../src/testing/external-copies-suite.ts';
import { collect } from '../../src/testing/storage-array/helpers.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import { ExternalStore } from '../core/engine/external-store.ts';
import { writableFiles } from '../arrays/writable-files.ts';

/** What is wrong with a store. */
type Break = (sound: ExternalStore) => Partial<ExternalCopies>;

const run = async (change: Break, spoils = true): Promise<SuiteReport> =>
  runSuite(
    await externalCopiesSuite({
      name: 'a store',
      async create() {
        const sound = new ExternalStore(new Map());
        const spoil = async (): Promise<void> => {
          sound.restored = (bytes) => Buffer.alloc(bytes.length);
        };
        const leave = async (...of: Parameters<ExternalStore['leave']>): Promise<void> => sound.leave(...of);
        const store = brokenBy(sound, change);
        return { ...(await writableFiles()), store, leave, ...(spoils && { spoil }) };
      },
    }),
  );

function brokenBy(sound: ExternalStore, change: Break): ExternalCopies {
  const { name, kind, contract } = sound;
  return {
    name,
    kind,
    contract,
    create: (source, token, call) => sound.create(source, token, call),
    open: (copy, call) => sound.open(copy, call),
    restoreInto: (copy, target, call) => sound.restoreInto(copy, target, call),
    compare: (copy, target, call) => sound.compare(copy, target, call),
    verify: (copy, request, call) => sound.verify(copy, request, call),
    remove: (copy, call) => sound.remove(copy, call),
    removeMade: (token, call) => sound.removeMade(token, call),
    list: (prefix, call) => sound.list(prefix, call),
    ...change(sound),
  };
}

const live = { signal: new AbortController().signal, progress: (): void => undefined };
const COPIES = 'copies a snapshot, whatever becomes of the volume, and tells it as a plain record';
const FINDS = 'finds by the token what a dead caller made, and removes that, once';
const LATE = 'makes again what was taken back, for a call that comes late, and takes that back too';
const OTHERS = 'takes back nothing that another token made';
const REMOVES = 'removes copies of one volume in any order, twice, and leaves the others whole';
const RESTORES = 'restores into a volume that held something else, and tells equal volumes from others';
const PROVES = 'proves by a sample no more than that a copy is stored, and by all of it that it is one';
const STOPPED = 'leaves nothing of a reading that is stopped, and reads again under its token';
const LEFT = 'shows what a dead reading left, and removes it at a repeat and by its token alone';
const GONE = 'says of a copy that is gone that it is';
const ABORTED = 'does nothing for a caller who is gone';
const LISTS = 'lists what it holds by what its token begins with, and nothing that is gone';
const WRONG = 'takes no copy for proven that the service restores wrongly, and leaves none of it';
const BAD = 'sees that a copy has gone bad, and writes none of it';

const BROKEN: Readonly<Record<string, readonly [Break, readonly string[]]>> = {
  'believes the service': [
    (sound) => ({
      create: async (source, token, call) => ({
        ...(await sound.create({ ...source, proof: 'stored' }, token, call)),
        proof: 'source-compared',
      }),
    }),
    [WRONG],
  ],
  'forgets what it made': [
    (sound) => ({
      create: (source, _, call) => sound.create(source, crypto.randomUUID(), call),
    }),
    [COPIES, FINDS, LATE, LISTS],
  ],
  'keeps what is to go': [() => ({ remove: async () => undefined }), [REMOVES, LISTS, GONE, ABORTED]],
  'takes back everything': [
    (sound) => ({
      async removeMade(token, call) {
        const removed = await sound.removeMade(token, call);
        sound.held.clear();
        return removed;
      },
    }),
    [OTHERS, LISTS, STOPPED, LEFT, ABORTED],
  ],
  'lists what is gone': [
    (sound) => {
      const all = new Map<string, ExternalMade>();
      return {
        async *list(prefix, call) {
          for await (const one of sound.list('', call)) all.set(one.token, one);
          for (const one of all.values()) if (one.token.startsWith(prefix)) yield one;
        },
      };
    },
    [LISTS, LEFT],
  ],
  'lists all whatever is asked for': [
    (sound) => ({ list: (_, call) => sound.list('', call) }),
    [LISTS, LEFT],
  ],
  'restores the first half': [
    (sound) => ({
      async restoreInto(copy, target, call) {
        await using source = await sound.open(copy, call);
        const half = new Uint8Array(source.size / 2);
        await source.readInto(0, half, call);
        await target.write(0, half, call);
        return half.length;
      },
    }),
    [RESTORES, STOPPED],
  ],
  'keeps what it had made to be read': [
    (sound) => ({
      async restoreInto(copy, target, call) {
        const written = await sound.restoreInto(copy, target, call);
        sound.held.set(`${call.token}~restored`, Buffer.alloc(1));
        return written;
      },
    }),
    [RESTORES, STOPPED],
  ],
  'makes something to be read that nobody knows': [
    (sound) => ({
      verify: (copy, request, call) => sound.verify(copy, request, { ...call, token: crypto.randomUUID() }),
    }),
    [LEFT],
  ],
  'hides what is made to be read': [
    (sound) => ({
      async *list(prefix, call) {
        for await (const one of sound.list(prefix, call)) if (one.volume !== 'restored') yield one;
      },
    }),
    [LEFT],
  ],
  'takes back all whose tokens begin so': [
    (sound) => ({
      async removeMade(token, call) {
        const all = await collect(sound.list(token, call));
        for (const one of all) await sound.removeMade(one.token, call);
        return all.map((one) => one.token);
      },
    }),
    [LEFT],
  ],
  'finds all equal': [
    (sound) => ({ compare: async (copy, _, call) => void (await sound.open(copy, call)) }),
    [RESTORES],
  ],
  'proves all by a part': [
    (sound) => ({ verify: (copy, request, call) => sound.verify(copy, { ...request, sample: 1 }, call) }),
    [PROVES],
  ],
  'calls bad copies gone': [
    (sound) => ({
      async open(copy, call) {
        try {
          return await sound.open(copy, call);
        } catch (error) {
          if (!FafnirError.is(error, 'CORRUPT')) throw error;
          throw new FafnirError('NOT_FOUND', 'nothing to see', { cause: error });
        }
      },
    }),
    [BAD],
  ],
  'does not listen': [
    (sound) => ({
      create: (source, token) => sound.create(source, token, live),
      remove: (copy) => sound.remove(copy, live),
      removeMade: (token) => sound.removeMade(token, live),
    }),
    [ABORTED],
  ],
  'reads on for nobody': [
    (sound) => ({
      verify: (copy, request, { token }) => sound.verify(copy, request, { ...live, token }),
    }),
    [ABORTED],
  ],
  'copies the volume of another day': [
    (sound) => ({
      create: async (source, token, call) => ({
        ...(await sound.create(source, token, call)),
        takenAt: '2001-01-01T00:00:00.000Z',
      }),
    }),
    [COPIES],
  ],
};

test('a sound store passes every case', async () => {
  const { failed, skipped, passed } = await run(() => ({}));
  expect({ failed, skipped }).toEqual({ failed: [], skipped: [] });
  expect(passed).toHaveLength(14);
});

test('a store whose service cannot be made to lie is not asked about that', async () => {
  const { failed, skipped } = await run(() => ({}), false);
  expect(failed).toEqual([]);
  expect(skipped.map(({ name }) => name)).toEqual([WRONG, BAD]);
});

test.for(Object.entries(BROKEN))('a store that %s fails these cases and no other', async ([, broken]) => {
  const [change, cases] = broken;
  const { failed } = await run(change);
  expect(failed.map(({ name }) => name).toSorted()).toEqual(cases.toSorted());
});
