import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import type {
  ArrayDistrusted,
  CheckpointId,
  ErrorCode,
  Provider,
  SnapshotStrategy,
  StorageArray,
} from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { volumeSnapshot } from '../../../src/strategies/volume-snapshot.ts';
import { ARRAY_LIES, type ArrayLie, lyingArray } from '../../../src/testing/lying-array.ts';
import { KEYS } from '../archive/vaults.ts';
import { temporaryDirectory, writeShop } from './application.ts';
import { all, arraySnapshots, failure, filesBelow, hastyClock } from './world.ts';

// One server with two volumes.
const DB = [{ type: 'Local::Server', id: 'db' }];
const VOLUMES = ['db-root', 'db-data'] as const;

/** Sites `a`, which is protected, and `b`, which is restored to; arrays may lie. */
async function openSites(
  of: {
    readonly a?: (array: StorageArray) => StorageArray;
    readonly b?: (array: StorageArray) => StorageArray;
    readonly strategy?: SnapshotStrategy;
  } = {},
) {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const banks = [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' as const }];
  const providerOf = (site: 'a' | 'b'): Provider => {
    const root = join(path, site);
    const array = createFilesArray({ name: 'files', root }, {});
    const arrays = [of[site]?.(array) ?? array];
    const strategies = [of.strategy ?? volumeSnapshot()];
    return defineProvider({ name: site, site, parts: [{ ...local({ root }), arrays }], strategies, banks });
  };
  const providers = [providerOf('a'), providerOf('b')];
  const engine = await createEngine({
    store: memoryStore(),
    providers,
    clock: hastyClock,
    archive: { workers: 0 },
  });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'db', provider: 'a', resources: DB });
  const bytesOf = (site: string): Promise<Buffer[]> =>
    Promise.all(VOLUMES.map((volume) => readFile(join(path, site, 'volumes', `${volume}.raw`))));
  return {
    path,
    engine,
    acme,
    protect: async () => (await acme.protect(plan.id)).result(),
    /** Adopts a set that somebody took by the array as it is. */
    adopt: async () => {
      const volumes = VOLUMES.map((id) => ({ array: 'files', id, size: 0 }));
      const { signal } = new AbortController();
      await createFilesArray({ name: 'files', root: join(path, 'a') }, {}).snapshot(volumes, 'old', {
        signal,
      });
      const snapshots = VOLUMES.map((volume) => ({ array: 'files', volume, name: 'old' }));
      return (await acme.adopt(plan.id, { ownership: 'take', snapshots })).result();
    },
    restore: async (checkpoint: CheckpointId) => (await acme.restore(checkpoint, { to: 'b' })).result(),
    bytesOf,
    /** Changes every byte. */
    change: async (): Promise<void> => {
      for (const [at, bytes] of (await bytesOf('a')).entries()) {
        await writeFile(
          join(path, 'a', 'volumes', `${VOLUMES[at]}.raw`),
          bytes.map((byte) => byte ^ 1),
        );
      }
    },
    states: async () => (await all(acme.checkpoints.list())).map(({ state }) => state),
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const telling = (lie: ArrayLie) => (array: StorageArray) => lyingArray(array, lie);

/** Lies that stop a protect, by the code and the words that it fails with. */
const STOPPING: readonly (readonly [ArrayLie, ErrorCode, RegExp])[] = [
  ['snapshot-not-taken', 'WRONG_ANSWER', /array files says it has a snapshot of db-\w+ .* but has none/],
  ['snapshot-taken-twice', 'WRONG_ANSWER', /array files says it has a snapshot of .* but has another/],
  ['group-incomplete', 'WRONG_ANSWER', /array files says it has a snapshot of .* but has none/],
  ['group-of-two-instants', 'WRONG_ANSWER', /array files broke its contract: one group is of .* and /],
  ['group-of-anything', 'WRONG_ANSWER', /array files broke its contract: one group is of .* and /],
  ['snapshot-vanishes', 'NOT_FOUND', /db-/],
  [
    'wrong-size',
    'WRONG_ANSWER',
    /array files tells of 7340032 bytes in a snapshot of db-\w+, which has 3670016/,
  ],
  ['short-source', 'WRONG_ANSWER', /a snapshot of 3670016 bytes opens with 1835008/],
  ['hole-in-map', 'WRONG_ANSWER', /array files broke its contract: its map (goes wrong|ends) at byte/],
  ['foreign-snapshot', 'WRONG_ANSWER', /a snapshot of db-\w+-other stands for one of db-/],
];

/** Lies that stop an adoption. */
const UNFIT: readonly (readonly [ArrayLie, ErrorCode, RegExp])[] = [
  ['snapshot-vanishes', 'NO_SNAPSHOT', /snapshot old of volume db-\w+ on array files cannot be opened/],
  ['wrong-size', 'UNSUPPORTED', /has 7340032 bytes, and the volume has 3670016 now/],
  ['short-source', 'WRONG_ANSWER', /a snapshot of 3670016 bytes opens with 1835008/],
];

describe('an array that lies about snapshots that others made', () => {
  it.each(UNFIT)('%s: the adoption ends with %s, and leaves no checkpoint', async (lie, code, words) => {
    await using sites = await openSites({ a: telling(lie) });
    const error = await failure(sites.adopt);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(words);
    expect(await sites.states()).toEqual([]);
  });
});

describe('an array that lies while it is protected', () => {
  it.each(STOPPING)(
    '%s: ends with %s, and leaves no checkpoint and no snapshot',
    async (lie, code, words) => {
      await using sites = await openSites({ a: telling(lie) });
      const error = await failure(sites.protect);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(words);
      expect(await sites.states()).toEqual([]);
      expect(await arraySnapshots(sites)).toEqual([]);
    },
  );

  it.each(['snapshot-not-removed', 'snapshot-taken-late'] as const)(
    '%s: what is still there is named, and the checkpoint is as good as any',
    async (lie) => {
      await using sites = await openSites({ a: telling(lie) });
      const { checkpoint, leftovers = [] } = await sites.protect();
      expect(leftovers.map(({ what }) => what).sort()).toEqual([
        'remove the array copy of volume db-data in files',
        'remove the array copy of volume db-root in files',
      ]);
      for (const { error } of leftovers) {
        expect(error).toMatchObject({
          code: 'WRONG_ANSWER',
          message: expect.stringContaining('still there'),
        });
      }
      await sites.restore(checkpoint);
      expect(await sites.bytesOf('b')).toEqual(await sites.bytesOf('a'));
      const reconciled = await sites.engine.reconcile();
      const ofProtect = reconciled.find(({ removed, error }) => removed.length > 0 || error !== undefined);
      if (lie === 'snapshot-taken-late') expect(ofProtect?.removed).toHaveLength(2);
      else expect(ofProtect?.error).toMatchObject({ code: 'WRONG_ANSWER' });
    },
  );

  it('snapshot-vanishes: a checkpoint of snapshots is called lost by a verify, and restores nothing', async () => {
    await using sites = await openSites({
      a: telling('snapshot-vanishes'),
      strategy: storageArraySnapshot(),
    });
    const { checkpoint } = await sites.protect();
    expect((await failure(() => sites.restore(checkpoint))).code).toBe('NOT_FOUND');
    expect(await filesBelow(join(sites.path, 'b', 'volumes'))).toEqual({});
    expect((await failure(async () => (await sites.acme.verify(checkpoint)).result())).code).toBe('CORRUPT');
    expect(await sites.states()).toEqual(['failed']);
  });
});

describe('an array that lies while it is restored to', () => {
  it.each(['write-dropped', 'flush-lost'] as const)(
    '%s: the restore fails, and leaves nothing',
    async (lie) => {
      await using sites = await openSites({ b: telling(lie) });
      const { checkpoint } = await sites.protect();
      const error = await failure(() => sites.restore(checkpoint));
      expect(error.code).toBe('NOT_PROVEN');
      expect(await filesBelow(join(sites.path, 'b', 'volumes'))).toEqual({});
    },
  );

  it('write-repeated: does no harm', async () => {
    await using sites = await openSites({ b: telling('write-repeated') });
    const { checkpoint } = await sites.protect();
    await sites.restore(checkpoint);
    expect(await sites.bytesOf('b')).toEqual(await sites.bytesOf('a'));
  });
});

describe('changes-too-small', () => {
  it('is found out by the compare of every third archive, and what relied on it counts no more', async () => {
    const strategy = volumeSnapshot({ compare: { every: 3 } });
    await using sites = await openSites({ a: telling('changes-too-small'), strategy });
    const events: ArrayDistrusted[] = [];
    sites.engine.on('array.distrusted', (event) => events.push(event));
    const first = await sites.protect();
    const firstBytes = await sites.bytesOf('a');
    await sites.change();
    const second = await sites.protect();
    expect(second.distrusted).toBeUndefined();
    expect(await sites.states()).toEqual(['available', 'available']);
    await sites.change();
    await sites.change();
    const third = await sites.protect();
    expect(third.distrusted).toEqual([
      { array: 'files', volumes: 2, lost: 2, reason: expect.stringContaining('unchanged that were not') },
    ]);
    expect(events.map(({ volume, checkpoints }) => [volume, checkpoints]).sort()).toEqual([
      ['db-data', [second.checkpoint]],
      ['db-root', [second.checkpoint]],
    ]);
    const told = (await all(sites.acme.audit())).filter(({ action }) => action === 'array.distrusted');
    const [of, ...more] = told.map(({ object }) => object);
    expect([of, ...more].map((object) => object?.volume).sort()).toEqual(['db-data', 'db-root']);
    expect(of).toMatchObject({ job: third.checkpoint, provider: 'a', array: 'files', lost: '1' });
    // Its snapshots are all it has now: they stay.
    const { artifacts, lost } = await sites.acme.checkpoints.get(second.checkpoint);
    const left = artifacts.flatMap(({ volume }) => volume?.copies.map(({ kind }) => kind) ?? []);
    expect([left, lost.length]).toEqual([['array', 'array'], 2]);
    // To read it shows that it can be read, and nothing more.
    await (await sites.acme.verify(second.checkpoint)).result().catch(() => undefined);
    expect((await sites.acme.checkpoints.get(second.checkpoint)).lost).toHaveLength(2);

    await sites.restore(third.checkpoint);
    expect(await sites.bytesOf('b')).toEqual(await sites.bytesOf('a'));
    await using other = await sites.acme.checkpoints.open(first.checkpoint, {
      array: 'files',
      id: 'db-root',
    });
    const bytes = new Uint8Array(other.size);
    await other.readInto(0, bytes, { signal: new AbortController().signal });
    expect(firstBytes[0]?.equals(bytes)).toBe(true);
  });
});

describe('an array that answers with garbage', () => {
  const garbage = [null, -1, '', [], { name: 1 }, 'x'.repeat(10_000)];

  it.each(['capabilities', 'snapshot', 'find'] as const)(
    'from %s fails every protect by name',
    async (method) => {
      let answer: unknown;
      const said = async <Value>(name: string, real: () => Promise<Value>): Promise<Value> =>
        name === method && answer !== undefined ? (answer as Value) : real();
      const a = (array: StorageArray): StorageArray => ({
        ...array,
        capabilities: (call) => said('capabilities', () => array.capabilities(call)),
        snapshot: (volumes, name, call) => said('snapshot', () => array.snapshot(volumes, name, call)),
        find: (name, call) => said('find', () => array.find(name, call)),
      });
      await using sites = await openSites({ a });
      for (answer of garbage) {
        const error = await failure(sites.protect);
        expect(error.code).toBe('WRONG_ANSWER');
        expect(error.message).toMatch(/^array files (broke its contract|says it has)/);
      }
      expect(await sites.states()).toEqual([]);
      // What could not be found then is found now.
      answer = undefined;
      await sites.engine.reconcile();
      expect(await arraySnapshots(sites)).toEqual([]);
      const { checkpoint } = await sites.protect();
      await sites.restore(checkpoint);
      expect(await sites.bytesOf('b')).toEqual(await sites.bytesOf('a'));
    },
  );
});

it('no lie goes without a test', () => {
  const tested: readonly ArrayLie[] = [
    ...STOPPING.map(([lie]) => lie),
    ...(['snapshot-not-removed', 'snapshot-taken-late', 'write-dropped', 'flush-lost'] as const),
    ...(['write-repeated', 'changes-too-small'] as const),
    // In restore-ways.test.ts.
    ...(['revert-not-done', 'clone-empty'] as const),
  ];
  expect([...tested].sort()).toEqual([...ARRAY_LIES].sort());
});
