import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type {
  CheckpointId,
  Dependencies,
  NewPlan,
  OpenCheckpoint,
  PlanRecord,
  ProtectResult,
  ResourceKey,
} from '../../../src/index.ts';
import { FafnirError } from '../../../src/index.ts';
import { readVolume, SHOP, writeShop } from './application.ts';
import { direct, Fault, type Tap } from './taps.ts';
import { all, arraySnapshots, everything, failure, filesBelow, openWorld, type World } from './world.ts';

const key = (type: string, id: string): ResourceKey => ({ type: `Local::${type}`, id });
const [WEB, DB, DB_DATA] = [key('Server', 'web'), key('Server', 'db'), key('Volume', 'db-data')];
const NOT_DB = ['Network/back', 'Network/front', 'Server/web', 'Volume/web-root'].map((id) => `Local::${id}`);

/** A world whose tap can be exchanged, with a plan that goes on after failures. */
interface Careful extends World {
  tap: Tap;
  readonly careful: PlanRecord;
  protect(plan?: PlanRecord): Promise<ProtectResult>;
}

async function openCareful(provider = 'gold', changes: Partial<NewPlan> = {}): Promise<Careful> {
  let tap: Tap = direct;
  const world = await openWorld({ tap: (...call) => tap(...call), provider });
  const plan = { name: 'careful', provider, resources: SHOP, onFailure: 'continue', ...changes } as const;
  const careful = await world.acme.plans.create(plan);
  return {
    ...world,
    careful,
    get tap() {
      return tap;
    },
    set tap(next) {
      tap = next;
    },
    protect: async (of = careful) => (await world.acme.protect(of.id)).result(),
  };
}

/** Fails every call of a name that is for this id. */
const failing = (name: string, id: string, error?: () => unknown): Tap =>
  new Fault({
    matches: (what, ids) => what === name && ids.includes(id),
    lasting: true,
    ...(error && { error }),
  }).tap;

const nameOf = ({ type, id }: ResourceKey): string => `${type}/${id}`;
const present = ({ artifacts }: OpenCheckpoint): string[] =>
  artifacts.map(({ resource }) => nameOf(resource)).sort();
/** What is missing, by the resource whose failure it was. */
const missing = ({ missing }: OpenCheckpoint): Record<string, string> =>
  Object.fromEntries(missing.map(({ resource, cause }) => [nameOf(resource), nameOf(cause)]));
const stateOf = async ({ acme }: World, id: CheckpointId): Promise<string | undefined> =>
  (await all(acme.checkpoints.list())).find((one) => one.id === id)?.state;

/** The array has the snapshots that checkpoints count on, and no others. */
async function expectNoLeaks(world: World): Promise<void> {
  const counted: string[] = [];
  for (const { id, state } of await all(world.acme.checkpoints.list())) {
    if (state === 'removed') continue;
    for (const { volume } of (await world.acme.checkpoints.get(id)).artifacts) {
      for (const { kind, reference } of volume?.copies ?? [])
        if (kind === 'array') counted.push(`${reference.name} ${volume?.volume.id}`);
    }
  }
  const there = (await arraySnapshots(world)).map(({ name, volume }) => `${name} ${volume.id}`);
  expect(there.toSorted()).toEqual(counted.toSorted());
}

describe('a run that goes on', () => {
  it.each([
    ['gold', 'capture Local::Volume', ['Local::Volume/db-root']],
    ['gold', 'array.snapshot', []],
    ['gold', 'array.open', ['Local::Volume/db-root']],
    ['bronze', 'capture Local::Volume', ['Local::Volume/db-root']],
    ['bronze', 'array.snapshot', []],
  ] as const)(
    'over %s after a failure of %s lacks what depends on the volume',
    async (provider, what, more) => {
      await using world = await openCareful(provider);
      const events: unknown[] = [];
      world.engine.on('checkpoint.committed', (event) => events.push(event));
      world.tap = failing(what, 'db-data');
      const result = await world.protect();
      const opened = await world.acme.checkpoints.get(result.checkpoint);
      expect(present(opened)).toEqual([...NOT_DB, ...more].sort());
      const cause = 'Local::Volume/db-data';
      expect(missing(opened)).toEqual({
        [cause]: cause,
        'Local::Server/db': cause,
        'Local::Application/shop': cause,
        // What is snapshot together fails together.
        ...(more.length === 0 && { 'Local::Volume/db-root': 'Local::Volume/db-root' }),
      });
      for (const { error } of opened.missing) expect(error.message).toMatch(/injected fault/);
      expect(result).toMatchObject({ state: 'partial', missing: opened.missing.length, incomplete: 0 });
      expect(result).toMatchObject({ resources: 4 + more.length, volumes: 1 + more.length });
      expect(result).not.toHaveProperty('leftovers');
      expect(opened).toMatchObject({ state: 'partial', commit: { missing: result.missing } });
      expect(await stateOf(world, result.checkpoint)).toBe('partial');
      expect(events).toEqual([expect.objectContaining({ checkpoint: result.checkpoint, state: 'partial' })]);
      expect((await arraySnapshots(world)).length).toBe(provider === 'gold' ? 0 : result.volumes);
      await expectNoLeaks(world);
    },
  );

  it('lacks a volume whose archive the bank refuses, whichever that is', async () => {
    await using world = await openCareful();
    world.tap = new Fault({ matches: (what) => what.startsWith('bank.put acme/data/') }).tap;
    const result = await world.protect();
    const opened = await world.acme.checkpoints.get(result.checkpoint);
    const failed = opened.missing.filter(({ resource, cause }) => nameOf(resource) === nameOf(cause));
    expect(failed.map(({ resource }) => resource.type)).toEqual(['Local::Volume']);
    expect(result).toMatchObject({ state: 'partial', missing: 3, volumes: 2 });
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('after the effect of a snapshot call that fails leaves no snapshot', async () => {
    await using world = await openCareful('bronze');
    const matches = (what: string, ids: readonly string[]): boolean =>
      what === 'array.snapshot' && ids.includes('db-data');
    world.tap = new Fault({ matches, time: 'after', lasting: true }).tap;
    expect(await world.protect()).toMatchObject({ state: 'partial', volumes: 1 });
    expect((await arraySnapshots(world)).map(({ volume }) => volume.id)).toEqual(['web-root']);
  });

  it('says what could not be cleared up, and the next job or a removal does not need it', async () => {
    await using world = await openCareful('bronze');
    const capture = failing('capture Local::Volume', 'db-data');
    const remove = new Fault({ matches: (what) => what === 'array.remove', lasting: true });
    world.tap = (what, run, ...more) => capture(what, () => remove.tap(what, run, ...more), ...more);
    const result = await world.protect();
    expect(result.leftovers).toEqual([
      expect.objectContaining({ what: expect.stringMatching(/array files/) }),
    ]);
    expect(await arraySnapshots(world)).toHaveLength(3);
    world.tap = direct;
    const found = await world.acme.reconcile();
    expect(found).toHaveLength(1);
    await expectNoLeaks(world);
  });

  it('tries again what may pass by itself', async () => {
    await using world = await openCareful();
    const error = (): FafnirError => new FafnirError('UNAVAILABLE', 'no answer');
    world.tap = new Fault({ matches: (what) => what === 'capture Local::Volume', error }).tap;
    expect(await world.protect()).toMatchObject({ state: 'available', missing: 0 });
  });

  it('names the application alone where nothing else failed', async () => {
    await using world = await openCareful();
    world.tap = failing('capture Local::Application', 'shop');
    const result = await world.protect();
    expect(result).toMatchObject({ state: 'partial', missing: 1, resources: 7, volumes: 3 });
    const restored = await world.acme.restore(result.checkpoint, { to: 'silver', resources: [WEB, DB] });
    expect(await restored.result()).toMatchObject({ resources: 7, volumes: 3 });
  });

  it('fails where everything fails, and leaves nothing', async () => {
    await using world = await openCareful();
    const before = await filesBelow(join(world.path, 'a'));
    world.tap = new Fault({ matches: (what) => what.startsWith('capture '), lasting: true }).tap;
    expect((await failure(() => world.protect())).message).toMatch(/injected fault/);
    expect(await all(world.acme.checkpoints.list())).toEqual([]);
    expect(await filesBelow(join(world.path, 'a'))).toEqual(before);
  });

  it('does not call good what holds no volume of those that there are', async () => {
    await using world = await openCareful();
    world.tap = new Fault({ matches: (what) => what === 'array.snapshot', lasting: true }).tap;
    await failure(() => world.protect());
    expect(await all(world.acme.checkpoints.list())).toEqual([]);
  });

  it('goes on after a volume that cannot say where it is', async () => {
    await using world = await openCareful();
    world.tap = failing('volumes Local::Volume', 'db-data');
    const { checkpoint } = await world.protect();
    expect(missing(await world.acme.checkpoints.get(checkpoint))).toHaveProperty('Local::Volume/db-data');
  });
});

/** A world with a checkpoint that lacks a volume and what depends on it. */
async function openPartial(provider = 'gold'): Promise<Careful & { readonly checkpoint: CheckpointId }> {
  const world = await openCareful(provider);
  world.tap = failing('capture Local::Volume', 'db-data');
  const { checkpoint } = await world.protect();
  world.tap = direct;
  return Object.assign(world, { checkpoint });
}

describe('a partial checkpoint', () => {
  it.each(['gold', 'bronze'])('of %s restores what it has, when that is chosen', async (provider) => {
    await using world = await openPartial(provider);
    const { acme, checkpoint, path } = world;
    const options = { to: 'silver', resources: [WEB] };
    const preview = await acme.preview.restore(checkpoint, options);
    const added = preview.resources.map((one) => [nameOf(one), one.added]);
    expect(Object.fromEntries(added)).toEqual({
      'Local::Network/back': true,
      'Local::Network/front': true,
      'Local::Server/web': false,
      'Local::Volume/web-root': true,
    });
    expect(preview).toMatchObject({ chosen: [WEB], gaps: [], bytes: 3.5 * 1024 * 1024 });
    const result = await (await acme.run(preview)).result();
    expect(result).toMatchObject({ resources: 4, volumes: 1 });
    const files = Object.keys(await filesBelow(join(path, 'b'))).sort();
    expect(files.filter((file) => file.endsWith('.raw'))).toEqual(['volumes/web-root.raw']);
    const [was, is] = await Promise.all(['a', 'b'].map((site) => readVolume(join(path, site), 'web-root')));
    expect(was?.equals(is ?? Buffer.of())).toBe(true);
    const volume = key('Volume', 'db-root');
    expect(
      await (await acme.restore(checkpoint, { to: 'silver', resources: [volume] })).result(),
    ).toMatchObject({
      resources: 1,
    });
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('partial');
  });

  it.each<[string, readonly ResourceKey[] | undefined, readonly string[]]>([
    ['whole', undefined, ['Local::Application/shop', 'Local::Server/db', 'Local::Volume/db-data']],
    ['with the volume itself', [WEB, DB_DATA], ['Local::Volume/db-data']],
    ['with what depends on it', [DB], ['Local::Server/db', 'Local::Volume/db-data']],
  ])('is refused %s, by the names of what it lacks', async (_, resources, names) => {
    await using world = await openPartial();
    const { acme, checkpoint } = world;
    const before = await everything(world);
    const options = { to: 'silver', ...(resources && { resources }) };
    for (const attempt of [
      () => acme.preview.restore(checkpoint, options),
      async () => (await acme.restore(checkpoint, options)).result(),
    ]) {
      const { code, message } = await failure(attempt);
      expect(code).toBe('NOT_AVAILABLE');
      expect(message).toMatch(/is partial and lacks /);
      for (const name of names) expect(message).toContain(name);
      expect(message).not.toMatch(/web|Network|db-root/);
    }
    expect(await everything(world)).toEqual(before);
  });

  it('restores where what it lacks is mapped', async () => {
    await using world = await openPartial();
    const { acme, checkpoint, path } = world;
    await writeShop(join(path, 'b'));
    const resources = [WEB, DB];
    const map = { resources: [{ from: DB, to: DB }] };
    const preview = await acme.preview.restore(checkpoint, { to: 'silver', resources, map });
    expect(preview.resources.find(({ id }) => id === 'db')).toMatchObject({ standIn: DB, added: false });
    expect(await (await acme.run(preview)).result()).toMatchObject({ resources: 4, volumes: 1 });
    const leaf = { resources: [{ from: DB_DATA, to: DB_DATA }] };
    const { message } = await failure(() =>
      acme.preview.restore(checkpoint, { to: 'silver', resources, map: leaf }),
    );
    expect(message).toMatch(/lacks Local::Server\/db \(/);
    expect(message).not.toMatch(/Volume\/db-data \(/);
  });

  it.each(['gold', 'bronze'])('of %s is verified and removed like any other', async (provider) => {
    await using world = await openPartial(provider);
    const { acme, checkpoint } = world;
    const result = await (await acme.verify(checkpoint)).result();
    expect(result).toMatchObject({ copies: 2, unreachable: 0 });
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('partial');
    await (await acme.remove(checkpoint)).result();
    expect(await stateOf(world, checkpoint)).toBe('removed');
    expect(await arraySnapshots(world)).toEqual([]);
    const { code } = await failure(() =>
      acme.preview.restore(checkpoint, { to: 'silver', resources: [WEB] }),
    );
    expect(code).toBe('NOT_AVAILABLE');
  });

  it('is the base of the next, which is available again', async () => {
    await using world = await openPartial();
    const result = await world.protect();
    const opened = await world.acme.checkpoints.get(result.checkpoint);
    expect(opened).toMatchObject({ state: 'available', missing: [], commit: { base: world.checkpoint } });
    const restored = await world.acme.restore(result.checkpoint, { to: 'silver' });
    expect(await restored.result()).toMatchObject({ resources: 8, volumes: 3 });
  });
});

describe('a run that stops', () => {
  it('after a failure leaves nothing, and starts nothing new', async () => {
    await using world = await openCareful('gold', { onFailure: 'fail' });
    const before = await filesBelow(join(world.path, 'a'));
    const fault = new Fault({
      matches: (what, ids) => what === 'array.snapshot' && ids.includes('web-root'),
    });
    const after: string[] = [];
    world.tap = (what, run, ...more) => {
      if (fault.struck) after.push(what);
      return fault.tap(what, run, ...more);
    };
    expect((await failure(() => world.protect())).message).toMatch(/injected fault/);
    // Networks may have been captured meanwhile.
    const forbidden = /^(capture Local::(Volume|Server|Application)|array\.(snapshot|open)|bank\.put)/;
    expect(after.filter((what) => forbidden.test(what))).toEqual([]);
    expect(await all(world.acme.checkpoints.list())).toEqual([]);
    expect(await filesBelow(join(world.path, 'a'))).toEqual(before);
  });
});

describe('dependencies that cannot be read', () => {
  /** Fails to say what `db` depends on, beside what it knows. */
  const blind =
    (error: () => unknown): Tap =>
    async (what, run) => {
      const answer = await run();
      if (what !== 'dependencies Local::Server') return answer;
      const { resources, edges, failures } = answer as Dependencies;
      const at = edges.from.length > 0 ? Math.max(...Array.from(edges.from)) : 0;
      return { resources, edges, failures: [...failures, { at, error: error() }] } as typeof answer;
    };

  it.each(['fail', 'continue'] as const)(
    'make it partial where the plan allows for that, to %s',
    async (onFailure) => {
      await using world = await openCareful('gold', { incomplete: 'allow', onFailure, resources: [DB] });
      world.tap = blind(() => new Error('no answer'));
      const result = await world.protect();
      expect(result).toMatchObject({ state: 'partial', incomplete: 1, missing: 0, resources: 4, volumes: 2 });
      const { acme } = world;
      expect((await acme.checkpoints.graph(result.checkpoint)).incomplete).toEqual([
        { resource: DB, error: expect.objectContaining({ message: expect.stringMatching(/no answer/) }) },
      ]);
      const refused = await failure(() => acme.preview.restore(result.checkpoint, { to: 'silver' }));
      expect(refused).toMatchObject({
        code: 'NOT_AVAILABLE',
        message: expect.stringMatching(/Server\/db \(/),
      });
      const resources = [DB_DATA];
      const restored = await acme.restore(result.checkpoint, { to: 'silver', resources });
      expect(await restored.result()).toMatchObject({ resources: 1 });
      world.tap = direct;
      expect(await world.protect()).toMatchObject({ state: 'available', incomplete: 0 });
    },
  );

  it('fail it where the plan does not, also where it goes on after failures', async () => {
    await using world = await openCareful('gold', { resources: [DB] });
    world.tap = blind(() => new Error('no answer'));
    expect((await failure(() => world.protect())).code).toBe('DISCOVERY_FAILED');
    expect(await all(world.acme.checkpoints.list())).toEqual([]);
  });

  it('do not make an application drift that is else the same', async () => {
    await using world = await openCareful('gold', { incomplete: 'allow', resources: [DB] });
    let requests = 0;
    world.tap = blind(() => new Error(`no answer to request ${++requests}`));
    const preview = await world.acme.preview.protect(world.careful.id);
    expect(await (await world.acme.run(preview)).result()).toMatchObject({ state: 'partial', incomplete: 1 });
  });

  it('are asked for again where the error may pass by itself', async () => {
    await using world = await openCareful('gold', { incomplete: 'allow' });
    const fault = new Fault({
      matches: (what) => what === 'dependencies Local::Server',
      // The first look is only for leases.
      at: 2,
      error: () => new FafnirError('UNAVAILABLE', 'no answer'),
    });
    world.tap = fault.tap;
    expect(await world.protect()).toMatchObject({ state: 'available', incomplete: 0 });
    expect(fault.struck).toBe(true);
  });
});
