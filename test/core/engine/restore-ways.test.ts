import { createHash } from 'node:crypto';
import { chmod, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFilesArray } from '../../../src/arrays/files/array.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import {
  type CheckpointId,
  createEngine,
  defineProvider,
  type ErrorCode,
  FafnirError,
  type Part,
  type Resource,
  type RestoredVolume,
  type RestoreOptions,
  type StorageArray,
} from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { localVolume } from '../../../src/resources/local/volume.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { lyingArray } from '../../../src/testing/lying-array.ts';
import { KEYS } from '../archive/vaults.ts';
import { changeVolume, readVolume, temporaryDirectory, writeShop } from './application.ts';
import { direct, Fault, type Tap, tappedPart } from './taps.ts';
import { all, failure, filesBelow, hastyClock } from './world.ts';

const DB = [{ type: 'Local::Server', id: 'db' }];
const VOLUMES = ['db-data', 'db-root'];
const inPlace = { to: 'gold', into: 'existing' } as const;
const beside = { to: 'gold' } as const;
const array = { kind: 'array', location: 'files' } as const;
const archive = { kind: 'archive', location: 'bank' } as const;

/** An array into whose volumes nobody writes. */
const unwritten = ({ target, ...others }: StorageArray): StorageArray => ({
  ...others,
  ...(target && {
    target: {
      create: (request, call) => target.create(request, call),
      remove: (volume, call) => target.remove(volume, call),
      async openForWrite(volume, call) {
        const refuse = async (): Promise<never> => {
          throw new Error('nothing was to be written');
        };
        return { ...(await target.openForWrite(volume, call)), write: refuse, zero: refuse };
      },
    },
  }),
});

const refusing =
  (method: 'clone' | 'revert', code: ErrorCode) =>
  (sound: StorageArray): StorageArray => ({
    ...sound,
    [method]: async () => {
      throw new FafnirError(code, `the array does not ${method}`);
    },
  });

/** A protected server with two volumes, whose snapshots stay on an array, and an engine for it. */
async function openWays(change: (sound: StorageArray) => StorageArray = (sound) => sound, tap: Tap = direct) {
  const directory = await temporaryDirectory();
  const root = join(directory.path, 'a');
  await writeShop(root);
  const files = change(createFilesArray({ name: 'files', root }, {}));
  const partOf = (array: StorageArray): Part => {
    const part = local({ root });
    const protectables = part.protectables?.map((one) =>
      one.type === 'Local::Volume' ? localVolume({ root, array }) : one,
    );
    return tappedPart({ ...part, arrays: [array], ...(protectables && { protectables }) }, tap);
  };
  const part = partOf(files);
  const banks = [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' as const }];
  const strategies = [storageArraySnapshot()];
  const providers = [
    defineProvider({ name: 'gold', site: 'a', parts: [part], strategies, banks }),
    // The same array under another provider, and another of the same name.
    defineProvider({ name: 'same', site: 'a', parts: [part], strategies, banks }),
    defineProvider({ name: 'other', site: 'a', parts: [partOf({ ...files })], strategies, banks }),
  ];
  const settings = { clock: hastyClock, archive: { workers: 0 } };
  const engine = await createEngine({ store: memoryStore(), providers, ...settings });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'db', provider: 'gold', resources: DB });
  const { checkpoint } = await (await acme.protect(plan.id)).result();
  /** The digests of volumes. */
  const bytesOf = (ids: readonly string[]): Promise<string[]> =>
    Promise.all(
      ids.map(async (id) =>
        createHash('sha256')
          .update(await readVolume(root, id))
          .digest('hex'),
      ),
    );
  const protectedBytes = await bytesOf(VOLUMES);
  for (const id of VOLUMES) {
    await changeVolume(root, id, 1_000, 'changed');
    await changeVolume(root, id, 1_400_000, 'in a hole');
  }
  return {
    root,
    acme,
    checkpoint,
    protectedBytes,
    changedBytes: await bytesOf(VOLUMES),
    bytes: () => bytesOf(VOLUMES),
    /** Restores, and tells how each volume was, by its id, and what bytes they have, in the same order. */
    async restore(options: RestoreOptions, of: CheckpointId = checkpoint) {
      const job = await acme.restore(of, options);
      const result = await job.result();
      const byId = (a: RestoredVolume, b: RestoredVolume): number => (a.resource.id < b.resource.id ? -1 : 1);
      const restored = (await all(acme.jobs.restored(job.id))).toSorted(byId);
      const standIns = await all(acme.jobs.standIns(job.id));
      const ids = VOLUMES.flatMap((id) => standIns.find(({ from }) => from.id === id)?.to.id ?? []);
      return { result, restored, standIns, bytes: await bytesOf(ids) };
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

type Ways = Awaited<ReturnType<typeof openWays>>;

/** Changes the first bytes of a file, whoever may write to it. */
async function spoil(path: string): Promise<void> {
  await chmod(path, 0o600);
  await using file = await open(path, 'r+');
  await file.write('spoiled');
}

const waysOf = (restored: readonly RestoredVolume[]): readonly object[] =>
  restored.map(({ by, copy }) => ({ by, copy }));
const proofsOf = async ({ acme, checkpoint }: Ways): Promise<readonly string[]> =>
  (await acme.checkpoints.get(checkpoint)).artifacts.flatMap(
    ({ volume }) => volume?.copies.map(({ kind, proof }) => `${kind} ${proof}`) ?? [],
  );
const twice = <Item>(item: Item): readonly Item[] => VOLUMES.map(() => item);

describe('a restore in place', () => {
  it('lets the array revert its volumes, and writes nothing', async () => {
    await using ways = await openWays(unwritten);
    const preview = await ways.acme.preview.restore(ways.checkpoint, inPlace);
    expect(preview.resources.map(({ data }) => data)).toEqual(twice({ by: 'revert', copy: array }));
    const { result, restored, bytes } = await ways.restore(inPlace);
    expect(result).toMatchObject({ volumes: 2, by: { revert: 2, clone: 0, copy: 0 } });
    expect(restored).toEqual(
      VOLUMES.map((id) => ({
        resource: { type: 'Local::Volume', id },
        by: 'revert',
        volume: { array: 'files', id },
        copy: array,
      })),
    );
    expect(bytes).toEqual(ways.protectedBytes);
    expect(await proofsOf(ways)).toEqual(twice('array restored'));

    const back = await ways.restore(inPlace, result.safety);
    expect(back.result.by).toMatchObject({ revert: 2 });
    expect(back.bytes).toEqual(ways.changedBytes);
  });

  it('does so by any provider of that array, and by no other array of its name', async () => {
    await using ways = await openWays();
    for (const [to, by] of [['other', 'copy'] as const, ['same', 'revert'] as const]) {
      const { restored, bytes } = await ways.restore({ ...inPlace, to });
      expect(waysOf(restored)).toEqual(twice({ by, copy: array }));
      expect(bytes).toEqual(ways.protectedBytes);
    }
  });

  it('copies into volumes that are mapped to', async () => {
    await using ways = await openWays();
    const [from, to] = ['db-data', 'web-root'].map((id) => ({ type: 'Local::Volume', id }));
    if (from === undefined || to === undefined) expect.fail();
    const options = { ...inPlace, resources: [from], map: { resources: [{ from, to }] } };
    const { restored, bytes } = await ways.restore(options);
    expect(waysOf(restored)).toEqual([{ by: 'copy', copy: array }]);
    expect(bytes).toEqual(ways.protectedBytes.slice(0, 1));
  });

  it('reverts unless the caller names the bank, and holds the volume against the archive', async () => {
    await using ways = await openWays();
    await (await ways.acme.archive(ways.checkpoint)).result();
    const cases = [
      [{ location: 'bank' }, { by: 'copy', copy: archive }],
      [{ location: 'files' }, { by: 'revert', copy: array }],
      [{}, { by: 'revert', copy: array }],
    ] as const;
    for (const [location, way] of cases) {
      const { resources } = await ways.acme.preview.restore(ways.checkpoint, { ...inPlace, ...location });
      expect(resources.map(({ data }) => data)).toEqual(twice(way));
      const { restored, bytes } = await ways.restore({ ...inPlace, ...location });
      expect(waysOf(restored)).toEqual(twice(way));
      expect(bytes).toEqual(ways.protectedBytes);
      for (const id of VOLUMES) await changeVolume(ways.root, id, 50_000, 'again');
    }
    // A snapshot that is no longer what was archived: the array reverts to it in good faith.
    for (const path of Object.keys(await filesBelow(join(ways.root, 'snapshots'))))
      if (path.endsWith('.raw')) await spoil(join(ways.root, 'snapshots', path));
    const { restored, bytes } = await ways.restore({ ...inPlace, safety: 'none' });
    expect(waysOf(restored)).toEqual(twice({ by: 'copy', copy: archive }));
    for (const { instead } of restored) expect(instead).toMatch(/differs from the archive at byte 0/);
    expect(bytes).toEqual(ways.protectedBytes);
  });

  it.each(['UNSUPPORTED', 'NO_SPACE', 'NOT_FOUND'] as const)(
    'copies where the array refuses to with %s, and says why',
    async (code) => {
      await using ways = await openWays(refusing('revert', code));
      const { result, restored, bytes } = await ways.restore(inPlace);
      expect(result.by).toEqual({ revert: 0, clone: 0, copy: 2 });
      for (const { instead } of restored) expect(instead).toBe('the array does not revert');
      expect(bytes).toEqual(ways.protectedBytes);
    },
  );

  it('copies from an archive where the array has lost the snapshot', async () => {
    await using ways = await openWays();
    await (await ways.acme.archive(ways.checkpoint)).result();
    await rm(join(ways.root, 'snapshots'), { recursive: true });
    const { restored, bytes } = await ways.restore(inPlace);
    expect(waysOf(restored)).toEqual(twice({ by: 'copy', copy: archive }));
    expect(bytes).toEqual(ways.protectedBytes);
  });

  it('reverts again where that may help', async () => {
    const error = (): Error => new FafnirError('UNAVAILABLE', 'the array is busy');
    const fault = new Fault({ matches: (what) => what === 'array.revert', time: 'after', error });
    await using ways = await openWays(undefined, fault.tap);
    const { result, bytes } = await ways.restore(inPlace);
    expect(fault.struck).toBe(true);
    expect(result.by).toMatchObject({ revert: 2 });
    expect(bytes).toEqual(ways.protectedBytes);
  });

  it.each(['before', 'after'] as const)(
    'leaves what was there where it fails %s the second revert',
    async (time) => {
      const fault = new Fault({ matches: (what) => what === 'array.revert', at: 2, time });
      await using ways = await openWays(undefined, fault.tap);
      const job = await ways.acme.restore(ways.checkpoint, inPlace);
      expect((await failure(() => job.result())).message).toMatch(/injected fault; what was there before/);
      expect(await ways.bytes()).toEqual(ways.changedBytes);
      expect(await all(ways.acme.jobs.restored(job.id))).toEqual([]);
    },
  );
});

describe('a restore beside what is there', () => {
  it('lets the array make volumes from its snapshots, and writes nothing', async () => {
    await using ways = await openWays(unwritten);
    const preview = await ways.acme.preview.restore(ways.checkpoint, beside);
    const planned = preview.resources.filter(({ type }) => type === 'Local::Volume');
    expect(planned.map(({ data }) => data)).toEqual(twice({ by: 'clone', copy: array }));
    expect(preview.resources.flatMap(({ data }) => data ?? [])).toHaveLength(2);
    const { result, restored, standIns, bytes } = await ways.restore(beside);
    expect(result).toMatchObject({ volumes: 2, by: { revert: 0, clone: 2, copy: 0 } });
    expect(waysOf(restored)).toEqual(twice({ by: 'clone', copy: array }));
    expect(bytes).toEqual(ways.protectedBytes);
    expect(standIns.map((one) => Object.keys(one))).toEqual(standIns.map(() => ['from', 'to']));
    expect(await ways.bytes()).toEqual(ways.changedBytes);
    expect(await proofsOf(ways)).toEqual(twice('array restored'));
  });

  it('copies where the array cannot, or another place is asked for', async () => {
    await using ways = await openWays(({ clone: _, ...others }) => others);
    await (await ways.acme.archive(ways.checkpoint)).result();
    for (const [location, copy] of [
      ['files', array],
      ['bank', archive],
    ] as const) {
      const { restored, bytes } = await ways.restore({ ...beside, location });
      expect(waysOf(restored)).toEqual(twice({ by: 'copy', copy }));
      expect(restored.flatMap(({ instead }) => instead ?? [])).toEqual([]);
      expect(bytes).toEqual(ways.protectedBytes);
    }
  });

  it('copies what was archived where the bank is named, and what is on another array of the name', async () => {
    await using ways = await openWays();
    await (await ways.acme.archive(ways.checkpoint)).result();
    for (const [options, copy] of [
      [{ ...beside, location: 'bank' }, archive],
      [{ to: 'other', location: 'files' }, array],
    ] as const) {
      const { restored, bytes } = await ways.restore(options);
      expect(waysOf(restored)).toEqual(twice({ by: 'copy', copy }));
      expect(bytes).toEqual(ways.protectedBytes);
    }
  });

  it.each(['UNSUPPORTED', 'NO_SPACE', 'NOT_FOUND'] as const)(
    'copies where the array refuses to with %s, and says why',
    async (code) => {
      await using ways = await openWays(refusing('clone', code));
      const { result, restored, bytes } = await ways.restore(beside);
      expect(result.by).toEqual({ revert: 0, clone: 0, copy: 2 });
      for (const { instead } of restored) expect(instead).toBe('the array does not clone');
      expect(bytes).toEqual(ways.protectedBytes);
      expect(await volumesIn(ways)).toHaveLength(5);
    },
  );

  it('finds by the token what it has made, and makes no second one', async () => {
    const error = (): Error => new FafnirError('UNAVAILABLE', 'the answer is lost');
    const matches = (what: string): boolean => what === 'create Local::Volume';
    const fault = new Fault({ matches, time: 'after', error });
    await using ways = await openWays(unwritten, fault.tap);
    const { result, bytes } = await ways.restore(beside);
    expect(fault.struck).toBe(true);
    expect(result.by).toMatchObject({ clone: 2 });
    expect(bytes).toEqual(ways.protectedBytes);
    expect(await volumesIn(ways)).toHaveLength(5);
  });

  it('removes what the array has made where it fails', async () => {
    const fault = new Fault({ matches: (what) => what === 'connect Local::Server' });
    await using ways = await openWays(undefined, fault.tap);
    const before = await filesBelow(ways.root);
    const job = await ways.acme.restore(ways.checkpoint, beside);
    expect((await failure(() => job.result())).message).toMatch(/injected fault$/);
    expect(await filesBelow(ways.root)).toEqual(before);
    expect(await all(ways.acme.jobs.restored(job.id))).toEqual([]);
  });
});

describe('an array that says it has done it', () => {
  it.each([
    ['revert-not-done', inPlace, 'revert'],
    ['clone-empty', beside, 'clone'],
  ] as const)('%s: is found out, with snapshots alone and with archives', async (lie, options, way) => {
    await using ways = await openWays((sound) => lyingArray(sound, lie));
    const found = async (copy: object): Promise<void> => {
      const { restored, bytes } = await ways.restore(options);
      expect(waysOf(restored)).toEqual(twice({ by: 'copy', copy }));
      for (const { instead } of restored)
        expect(instead).toMatch(`array files did not ${way} it: the restored volume differs`);
      expect(bytes).toEqual(ways.protectedBytes);
    };
    await found(array);
    await (await ways.acme.archive(ways.checkpoint)).result();
    for (const id of VOLUMES) await changeVolume(ways.root, id, 50_000, 'again');
    await found(archive);
  });
});

const volumesIn = async ({ acme }: Ways): Promise<readonly Resource[]> =>
  all(acme.resources('gold', 'Local::Volume'));
