import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type {
  AdoptOptions,
  AdoptableSnapshot,
  ArraySnapshot,
  CheckpointId,
  Job,
  PlanRecord,
  SnapshotCopy,
  SnapshotToAdopt,
  StorageArray,
} from '../../../src/index.ts';
import { FafnirError } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { renamedSnapshot } from '../../arrays/renamed-snapshot.ts';
import { changeVolume, readVolume, SHOP } from './application.ts';
import { direct, Fault, Gate, type Tap } from './taps.ts';
import {
  all,
  arraySnapshots,
  availableOf,
  everything,
  failure,
  openWorld,
  protect,
  VOLUMES,
  type World,
} from './world.ts';

const call = { signal: new AbortController().signal };
const DATA = 'db-data';
const NAME = 'Backup_1';

async function resultOf<Result>(job: Promise<Job<Result>>): Promise<Result> {
  return (await job).result();
}

/** The array as those see it who make snapshots without Fafnir. */
function others({ path }: Pick<World, 'path'>) {
  const root = join(path, 'a');
  const [array] = local({ root }).arrays ?? [];
  if (array === undefined) throw new Error('a local part has an array');
  const take = async (name: string, ids: readonly string[] = VOLUMES): Promise<void> =>
    renamedSnapshot(array, root)(
      ids.map((id) => ({ array: array.name, id, size: 0 })),
      name,
    );
  const remove = async (name: string): Promise<void> => {
    for (const one of await array.find(name, call)) await array.remove(one, call);
  };
  return { array, take, remove };
}

const named = (name: string, ids: readonly string[] = VOLUMES): SnapshotToAdopt[] =>
  ids.map((volume) => ({ array: 'files', volume, name }));

/** The array as one that can all that matters, whatever its file system can. */
const able: Tap = async (what, run) => {
  const value = await run();
  return what === 'array.capabilities' ? { ...value, pointInTime: true, group: true } : value;
};

/** A world with snapshots that others made. */
async function openAdopting(of: Parameters<typeof openWorld>[0] = {}): Promise<World> {
  const world = await openWorld({ provider: 'bronze', tap: able, ...of });
  await others(world).take(NAME);
  return world;
}

const adopt = async (
  { acme, plan }: Pick<World, 'acme' | 'plan'>,
  asked: Partial<AdoptOptions> = {},
  of: PlanRecord = plan,
): Promise<CheckpointId> => {
  const options: AdoptOptions = { ownership: 'leave', snapshots: named(NAME), ...asked };
  return (await resultOf(acme.adopt(of.id, options))).checkpoint;
};

async function copiesOf({ acme }: World, checkpoint: CheckpointId): Promise<readonly SnapshotCopy[]> {
  const { artifacts } = await acme.checkpoints.get(checkpoint);
  return artifacts.flatMap(({ volume }) => volume?.copies ?? []);
}

const listed = ({ acme, plan }: World): Promise<AdoptableSnapshot[]> => all(acme.snapshots(plan.id));
const changeData = ({ path }: World, text: string): Promise<void> =>
  changeVolume(join(path, 'a'), DATA, 4096, text);
const keysOf = (snapshots: readonly ArraySnapshot[]): string[] =>
  snapshots.map(({ name, volume }) => `${name} of ${volume.id}`);

describe('snapshots that others made', () => {
  it('become a checkpoint that is restored with the bytes of then, and says what it does not know', async () => {
    await using world = await openAdopting();
    const { acme, path, plan } = world;
    const before = await arraySnapshots(world);
    const bytes = await Promise.all(VOLUMES.map((id) => readVolume(join(path, 'a'), id)));
    await changeData(world, 'changed since');
    const choice = await listed(world);
    expect(choice.map(({ volume }) => volume).sort()).toEqual([...VOLUMES].sort());
    const job = await acme.adopt(plan.id, { ownership: 'leave', snapshots: choice });
    const { checkpoint, state, volumes } = await job.result();
    expect({ state, volumes }).toEqual({ state: 'available', volumes: VOLUMES.length });
    expect(await acme.jobs.get(job.id)).toMatchObject({ operation: 'adopt' });
    const takenAt = before[0]?.takenAt;
    const [shown] = await availableOf(world);
    expect(shown).toMatchObject({
      id: checkpoint,
      base: null,
      adopted: { ownership: 'leave', oldest: takenAt, newest: takenAt },
    });
    const { artifacts } = await acme.checkpoints.get(checkpoint);
    const kept = artifacts.flatMap(({ volume }) => volume ?? []);
    expect(kept).toHaveLength(VOLUMES.length);
    for (const volume of kept) {
      expect(volume).toMatchObject({
        strategy: { name: 'adopted', reason: expect.stringContaining(NAME) },
        consistency: 'crash',
        skewMilliseconds: 0,
        pauseMilliseconds: null,
        arrayCopy: 'kept',
        copies: [{ kind: 'array', takenAt, proof: 'stored' }],
      });
    }
    expect(await listed(world)).toEqual([]);
    await resultOf(acme.verify(checkpoint));
    await resultOf(acme.restore(checkpoint, { to: 'silver' }));
    for (const [at, id] of VOLUMES.entries()) {
      expect(await readVolume(join(path, 'b'), id)).toEqual(bytes[at]);
    }
    expect(await arraySnapshots(world)).toEqual(before);
  });

  it('are archived later, and then need no array', async () => {
    await using world = await openAdopting();
    const { acme, path } = world;
    const bytes = await readVolume(join(path, 'a'), DATA);
    const checkpoint = await adopt(world, { ownership: 'take' });
    await changeData(world, 'changed since');
    await resultOf(acme.archive(checkpoint, { removeSnapshots: true }));
    expect(await arraySnapshots(world)).toEqual([]);
    expect((await copiesOf(world, checkpoint)).map(({ proof }) => proof)).toEqual(
      VOLUMES.map(() => 'read-back'),
    );
    await resultOf(acme.restore(checkpoint, { to: 'silver' }));
    expect(await readVolume(join(path, 'b'), DATA)).toEqual(bytes);
  });

  it('may have a name for each volume, and then tell how far apart they are', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const { acme } = world;
    const snapshots: SnapshotToAdopt[] = [];
    for (const id of VOLUMES) {
      await others(world).take(`nightly.${id}`, [id]);
      snapshots.push(...named(`nightly.${id}`, [id]));
    }
    const checkpoint = await adopt(world, { snapshots });
    const instants = (await copiesOf(world, checkpoint)).map(({ takenAt }) => Date.parse(takenAt));
    const { commit, artifacts } = await acme.checkpoints.get(checkpoint);
    expect(Date.parse(commit.adopted?.oldest ?? '')).toBe(Math.min(...instants));
    expect(Date.parse(commit.adopted?.newest ?? '')).toBe(Math.max(...instants));
    const ofServer = artifacts.flatMap(({ volume }) => (volume?.volume.id.startsWith('db') ? volume : []));
    const [one = 0, other = 0] = ofServer.map(({ copies }) => Date.parse(copies[0]?.takenAt ?? ''));
    expect(ofServer.map(({ skewMilliseconds }) => skewMilliseconds)).toEqual(
      [1, 1].map(() => Math.abs(one - other)),
    );
  });

  it('stay where they are left, and can be adopted again', async () => {
    await using world = await openAdopting();
    const { acme } = world;
    const before = await arraySnapshots(world);
    const checkpoint = await adopt(world);
    expect(await failure(() => resultOf(acme.archive(checkpoint, { removeSnapshots: true })))).toMatchObject({
      code: 'REFUSED_BY_POLICY',
    });
    expect(await acme.preview.remove(checkpoint)).toMatchObject({
      copies: [],
      bytes: 0,
      left: VOLUMES.map(() => ({ kind: 'array' })),
    });
    expect(await resultOf(acme.remove(checkpoint))).toEqual({ checkpoint, left: VOLUMES.length });
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('removed');
    expect(await arraySnapshots(world)).toEqual(before);
    expect(await listed(world)).toHaveLength(VOLUMES.length);
    await resultOf(acme.verify(await adopt(world, { ownership: 'take' })));
  });

  it('go with their checkpoint where they are taken, and others stay', async () => {
    await using world = await openAdopting();
    await others(world).take('Backup_2');
    const checkpoint = await adopt(world, { ownership: 'take' });
    expect(await world.acme.preview.remove(checkpoint)).not.toHaveProperty('left');
    expect(await resultOf(world.acme.remove(checkpoint))).toEqual({ checkpoint });
    expect(new Set((await arraySnapshots(world)).map(({ name }) => name))).toEqual(new Set(['Backup_2']));
  });

  it('are never counted on again while they are being removed', async () => {
    const stuck = new Fault({
      matches: (what) => what === 'array.remove',
      lasting: true,
      error: () => new FafnirError('ACCESS_DENIED', 'not now'),
    });
    await using world = await openAdopting({ tap: stuck.tap });
    const checkpoint = await adopt(world, { ownership: 'take' });
    const removed = await resultOf(world.acme.remove(checkpoint));
    expect(removed.leftovers).toHaveLength(VOLUMES.length);
    expect(await listed(world)).toEqual([]);
    expect(await failure(() => adopt(world))).toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('are left alone where the adoption is cancelled in the moment of its commit', async () => {
    let tap: Tap = direct;
    await using world = await openAdopting({ tap: (...of) => tap(...of) });
    const { acme, plan } = world;
    const before = await arraySnapshots(world);
    const gate = new Gate((what) => what.startsWith('bank.get acme/commits'));
    tap = gate.tap;
    const job = await acme.adopt(plan.id, { ownership: 'take', snapshots: named(NAME) });
    await gate.reached;
    await job.cancel();
    tap = direct;
    expect(await acme.jobs.get(job.id)).toMatchObject({ state: 'cancelled' });
    const [{ id: checkpoint } = expect.fail('it was committed')] = await all(acme.checkpoints.list());
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('removed');
    expect(await resultOf(acme.remove(checkpoint))).toEqual({ checkpoint, left: VOLUMES.length });
    expect(await arraySnapshots(world)).toEqual(before);
    await adopt(world);
  });
});

type Refusal = readonly [
  what: string,
  code: string,
  asked: Partial<AdoptOptions>,
  prepare?: (world: World) => Promise<unknown>,
];

const REFUSALS: readonly Refusal[] = [
  ['a snapshot that is gone', 'NO_SNAPSHOT', {}, (world) => others(world).remove(NAME)],
  ['a name that the array cannot have', 'INVALID_ID', { snapshots: named('../volumes') }],
  ['a volume that no snapshot is named of', 'NO_SNAPSHOT', { snapshots: named(NAME, [DATA]) }],
  [
    'a snapshot of another volume only',
    'NO_SNAPSHOT',
    { snapshots: named('Half') },
    (world) => others(world).take('Half', [DATA]),
  ],
  [
    'a volume that the plan does not have',
    'NOT_FOUND',
    { snapshots: [...named(NAME), ...named(NAME, ['stranger'])] },
  ],
  ['one volume twice', 'INVALID_OPTIONS', { snapshots: [...named(NAME), ...named('Backup_2', [DATA])] }],
  ['a name of our own', 'INVALID_OPTIONS', { snapshots: named('faf-0123456789ab') }],
  ['nothing', 'INVALID_OPTIONS', { snapshots: [] }],
  [
    'a volume that has another size since',
    'UNSUPPORTED',
    {},
    ({ path }) => truncate(join(path, 'a', 'volumes', `${DATA}.raw`), 4_000_000),
  ],
  [
    'another snapshot than was listed under the name',
    'DRIFTED',
    { snapshots: named(NAME).map((one) => ({ ...one, takenAt: '2026-01-01T00:00:00.000Z' })) },
  ],
  ['what another checkpoint has adopted', 'ALREADY_EXISTS', {}, (world) => adopt(world)],
  [
    'less than the policy asks for',
    'INCONSISTENT',
    { policy: { consistency: 'group', onInconsistency: 'refuse' } },
  ],
];

describe('an adoption', () => {
  for (const [what, code, asked, prepare] of REFUSALS) {
    it(`of ${what} is refused with ${code}, and leaves nothing`, async () => {
      await using world = await openAdopting();
      await prepare?.(world);
      const before = [await arraySnapshots(world), await availableOf(world)];
      expect(await failure(() => adopt(world, asked))).toMatchObject({ code });
      expect([await arraySnapshots(world), await availableOf(world)]).toEqual(before);
    });
  }

  it('refuses a set that is half done', async () => {
    const half: Tap = async (what, run) => {
      const value = await run();
      if (what !== 'array.find') return value;
      const takenAt = new Date(0).toISOString();
      const reference = { set: crypto.randomUUID() };
      const size = 3.5 * 1024 * 1024;
      const found = VOLUMES.map((id) => ({
        name: NAME,
        volume: { array: 'files', id, size },
        reference,
        takenAt,
      }));
      return found as typeof value;
    };
    await using world = await openWorld({ provider: 'bronze', tap: half });
    expect(await failure(() => adopt(world))).toMatchObject({
      code: 'NO_SNAPSHOT',
      message: expect.stringContaining('cannot be opened'),
    });
  });

  it('of volumes that lack one is partial where the plan continues', async () => {
    await using world = await openAdopting();
    const { acme } = world;
    const careful = await acme.plans.create({
      name: 'careful',
      provider: 'bronze',
      resources: SHOP,
      onFailure: 'continue',
    });
    const snapshots = named(NAME, VOLUMES.slice(0, 2));
    const preview = await acme.preview.adopt(careful.id, { ownership: 'leave', snapshots });
    expect(preview.failures).toMatchObject([
      { resource: { id: DATA }, error: { code: 'NO_SNAPSHOT', message: expect.stringContaining(DATA) } },
    ]);
    const checkpoint = await adopt(world, { snapshots }, careful);
    const { state, missing } = await acme.checkpoints.get(checkpoint);
    expect(state).toBe('partial');
    expect(missing.map(({ cause }) => cause.id)).toContain(DATA);
    await resultOf(acme.verify(checkpoint));
  });

  it('does what its preview says, and refuses what has changed since', async () => {
    await using world = await openAdopting();
    const { acme, plan } = world;
    const before = await everything(world);
    const asked = { ownership: 'take', snapshots: await listed(world) } as const;
    const preview = await acme.preview.adopt(plan.id, asked);
    expect(preview).toMatchObject({ operation: 'adopt', ownership: 'take', failures: [] });
    expect(preview.snapshots.map(({ snapshot }) => snapshot)).toEqual(
      expect.arrayContaining(asked.snapshots),
    );
    expect(preview.snapshots.map(({ consistency }) => consistency)).toEqual(VOLUMES.map(() => 'crash'));
    expect(await everything(world)).toEqual(before);
    await others(world).remove(NAME);
    await others(world).take(NAME);
    expect(await failure(() => resultOf(acme.run(preview)))).toMatchObject({ code: 'DRIFTED' });
    const again = await acme.preview.adopt(plan.id, { ...asked, snapshots: named(NAME) });
    const { checkpoint } = await resultOf(acme.run(JSON.parse(JSON.stringify(again))));
    expect((await acme.checkpoints.get(checkpoint)).commit.adopted?.ownership).toBe('take');
  });

  it('waits for a protect of the same volumes', async () => {
    const gate = new Gate((what) => what.startsWith('bank.put acme/artifacts'));
    await using world = await openAdopting({ tap: gate.tap });
    const running = await world.acme.protect(world.plan.id);
    await gate.reached;
    expect(await failure(() => adopt(world, { whenBusy: 'refuse' }))).toMatchObject({ code: 'BUSY' });
    gate.open();
    await running.result();
    await adopt(world);
  });
});

describe('what was adopted', () => {
  it('is told from another snapshot that got its name since, which nobody removes', async () => {
    await using world = await openAdopting();
    const { acme, engine } = world;
    const checkpoint = await adopt(world, { ownership: 'take' });
    await others(world).remove(NAME);
    await others(world).take(NAME);
    const { arrays } = await engine.reconcile({ provider: 'bronze' });
    expect(arrays[0]?.missing.count).toBe(VOLUMES.length);
    expect(await failure(() => resultOf(acme.verify(checkpoint)))).toMatchObject({ code: 'CORRUPT' });
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('failed');
    const before = await arraySnapshots(world);
    expect(await resultOf(acme.remove(checkpoint))).toEqual({ checkpoint });
    expect(await arraySnapshots(world)).toEqual(before);
    await adopt(world);
  });

  it('is lost to its checkpoint where somebody removes it', async () => {
    await using world = await openAdopting();
    const { acme } = world;
    const checkpoint = await adopt(world);
    await others(world).remove(NAME);
    expect(await failure(() => resultOf(acme.archive(checkpoint)))).toMatchObject({ code: 'NO_SNAPSHOT' });
    const { state, lost } = await acme.checkpoints.get(checkpoint);
    expect(state).not.toBe('available');
    expect(lost.length).toBeGreaterThan(0);
  });

  it('is no orphan, and is missing only where it is gone, of however many names', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const names = Array.from({ length: 6 }, (_, at) => `Nightly ${at}`);
    for (const name of names) {
      const snapshots: SnapshotToAdopt[] = [];
      for (const id of VOLUMES) {
        await others(world).take(`${name} ${id}`, [id]);
        snapshots.push(...named(`${name} ${id}`, [id]));
      }
      await adopt(world, { snapshots });
    }
    const before = keysOf(await arraySnapshots(world));
    const look = async () => (await world.engine.reconcile({ provider: 'bronze' })).arrays[0];
    expect(await look()).toMatchObject({ orphans: { count: 0 }, missing: { count: 0 } });
    await others(world).remove(`Nightly 3 ${DATA}`);
    expect(await look()).toMatchObject({
      orphans: { count: 0 },
      missing: { count: 1, first: [{ name: `Nightly 3 ${DATA}`, volume: DATA }] },
    });
    expect(keysOf(await arraySnapshots(world))).toHaveLength(before.length - 1);
  });

  it('is no base for what is protected later, and does not stand in the way of its retention', async () => {
    await using world = await openAdopting({ provider: 'gold' });
    const { acme } = world;
    const first = await protect(world);
    const adopted = await adopt(world);
    await resultOf(acme.archive(adopted));
    const second = await protect(world);
    expect((await acme.checkpoints.get(second)).commit.base).toBe(first);
    expect(new Set((await arraySnapshots(world)).map(({ name }) => name))).toEqual(new Set([NAME]));
    for (const id of [first, adopted, second]) await resultOf(acme.verify(id));
  });

  it('lists nothing of other volumes, and nothing of ours', async () => {
    await using world = await openAdopting();
    await protect(world);
    const one = await world.acme.plans.create({
      name: 'one volume',
      provider: 'bronze',
      resources: [{ type: 'Local::Volume', id: DATA }],
    });
    const found = await all(world.acme.snapshots(one.id));
    expect(found).toMatchObject([{ array: 'files', volume: DATA, name: NAME, size: 3.5 * 1024 * 1024 }]);
    const array: StorageArray = others(world).array;
    expect((await all(array.list('faf-', call))).length).toBe(VOLUMES.length);
  });
});
