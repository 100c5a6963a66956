import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type {
  CheckpointId,
  EngineOptions,
  JobId,
  PlanId,
  ProviderOptions,
  RestoreOptions,
} from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { SHOP, temporaryDirectory } from './application.ts';
import { fails, refused } from './refusals.ts';
import { all, arraySnapshots, everything, failure, openWorld, protect, type World } from './world.ts';
import { KEYS } from '../archive/vaults.ts';
import { memoryKeys } from '../../../src/testing/memory-keys.ts';

const application = (id: string) => ({ type: 'Local::Application', id });

async function planOf(world: World, name: string, ...ids: string[]): Promise<PlanId> {
  const resources = ids.map(application);
  return (await world.acme.plans.create({ name, provider: 'gold', resources })).id;
}

async function writeApplication(world: World, id: string, record: object): Promise<void> {
  await writeFile(join(world.path, 'a', 'applications', `${id}.json`), JSON.stringify(record));
}

describe('a plan', () => {
  it('of an unknown provider or type is refused', async () => {
    await using world = await openWorld();
    const { plans } = world.acme;
    const unknownProvider = { name: 'x', provider: 'brass', resources: SHOP };
    await refused(world, () => plans.create(unknownProvider), 'UNKNOWN_PROVIDER', /brass/);
    const unknownType = { name: 'x', provider: 'gold', resources: [{ type: 'Other::Thing', id: 'shop' }] };
    await refused(world, () => plans.create(unknownType), 'UNKNOWN_TYPE', /Other::Thing/);
    await refused(
      world,
      () => plans.create({ name: 'x', provider: 'gold', resources: [] }),
      'INVALID_OPTIONS',
    );
    await refused(
      world,
      () => plans.create({ name: 'shop', provider: 'gold', resources: SHOP }),
      'ALREADY_EXISTS',
    );
  });

  it('of a resource that does not exist fails when it is protected and when it is previewed', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, 'missing', 'shop', 'nowhere');
    await fails(world, () => world.acme.protect(plan), 'NOT_FOUND', /nowhere/);
    await refused(world, () => world.acme.preview.protect(plan), 'NOT_FOUND', /nowhere/);
  });

  it('of an application with a volume file missing fails, and names the volume', async () => {
    await using world = await openWorld();
    await rm(join(world.path, 'a', 'volumes', 'db-data.raw'));
    await fails(world, () => world.acme.protect(world.plan.id), 'DISCOVERY_FAILED', /db-data/);
  });

  it('of applications that depend on each other fails, and names the loop', async () => {
    await using world = await openWorld();
    await writeApplication(world, 'one', { name: 'one', servers: [], applications: ['two'] });
    await writeApplication(world, 'two', { name: 'two', servers: ['web'], applications: ['three'] });
    await writeApplication(world, 'three', { name: 'three', servers: [], applications: ['two'] });
    const plan = await planOf(world, 'loop', 'one');
    const loop = /Local::Application\/two -> Local::Application\/three|three -> Local::Application\/two/;
    await fails(world, () => world.acme.protect(plan), 'CYCLE', loop);
    await writeApplication(world, 'self', { name: 'self', servers: [], applications: ['self'] });
    const ofSelf = await planOf(world, 'self', 'self');
    await fails(world, () => world.acme.protect(ofSelf), 'CYCLE', /self -> Local::Application\/self/);
  });

  it('whose record is not what it should be fails, and names the file', async () => {
    await using world = await openWorld();
    await writeFile(join(world.path, 'a', 'servers', 'db.json'), '{"name": "db"');
    await fails(world, () => world.acme.protect(world.plan.id), 'DISCOVERY_FAILED', /servers\/db\.json/);
  });

  it('that was removed can no longer be protected', async () => {
    await using world = await openWorld();
    await world.acme.plans.remove(world.plan.id);
    await refused(world, () => world.acme.protect(world.plan.id), 'NOT_FOUND');
  });
});

describe('a bank', () => {
  it('that cannot be written fails the job, and leaves no snapshot', async () => {
    await using world = await openWorld();
    const file = join(world.path, 'a', 'volumes', 'web-root.raw');
    const bank = filesystemBank(join(file, 'bank'));
    const part = local({ root: join(world.path, 'a') });
    const provider = defineProvider({
      name: 'blocked',
      site: 'a',
      parts: [part],
      banks: [{ bank, keys: KEYS, role: 'primary' }],
    });
    await using engine = await createEngine({ store: memoryStore(), providers: [provider] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'blocked', resources: SHOP });
    const before = await everything(world);
    const job = await acme.protect(plan.id);
    const error = await failure(() => job.result());
    expect(error.message).toContain(file);
    expect(await acme.jobs.get(job.id)).toMatchObject({
      state: 'failed',
      outcome: { error: { code: error.code } },
    });
    expect(await everything(world)).toEqual(before);
    expect(await arraySnapshots(world)).toEqual([]);
  });
});

describe('options', () => {
  const part = () => local({ root: '/nowhere' });
  const gold = (): ProviderOptions => ({
    name: 'gold',
    site: 'a',
    parts: [part()],
    banks: [{ bank: filesystemBank('/nowhere/bank'), keys: KEYS, role: 'primary' }],
  });
  const RESTORE = /unknown option extra; the valid options are to, resources, location, map/;

  it('that are unknown are refused with the valid ones', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const { acme, engine, plan } = world;
    const extra = { extra: 1 };
    const providers = [defineProvider(gold())];
    const engineOptions: EngineOptions = { store: memoryStore(), providers, ...extra };
    const cases: [() => unknown, RegExp][] = [
      [() => createEngine(engineOptions), /unknown option extra; the valid options are store, providers/],
      [
        () => defineProvider({ ...gold(), ...extra }),
        /unknown option extra; the valid options are name, site/,
      ],
      [
        () => engine.for({ tenant: 'acme', actor: 'x', ...extra }),
        /unknown option extra; the valid options are tenant, actor/,
      ],
      [
        () => acme.plans.create({ name: 'x', provider: 'gold', resources: SHOP, ...extra }),
        /unknown option extra; the valid options are name, provider, resources/,
      ],
      [
        () => acme.plans.create({ name: 'x', provider: 'gold', resources: [{ ...SHOP[0], ...extra }] }),
        /resources\.0: unknown option extra; the valid options are type, id/,
      ],
      [() => acme.restore(checkpoint, { to: 'silver', ...extra }), RESTORE],
      [() => acme.preview.restore(checkpoint, { to: 'silver', ...extra }), RESTORE],
      [
        () => acme.restore(checkpoint, { to: 'silver', map: { ...extra } as RestoreOptions['map'] & object }),
        /map: unknown option extra; the valid options are resources, addresses/,
      ],
    ];
    for (const [work, message] of cases) await refused(world, work, 'INVALID_OPTIONS', message);
    await refused(
      world,
      () => acme.restore(checkpoint, { to: 'brass' }).then((job) => job.result()),
      'UNKNOWN_PROVIDER',
    );
    expect((await acme.plans.get(plan.id))?.name).toBe('shop');
  });

  it.each([0, 99, 600_001, 1_000.5, Number.NaN, '1000'])('for a pause of %s are refused', async (pause) => {
    await using world = await openWorld();
    const options = { pauseMilliseconds: pause as number };
    await refused(world, () => world.acme.protect(world.plan.id, options), 'INVALID_OPTIONS', /^protect: /);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });

  it('of a job store that opens nothing are refused before the store is used', async () => {
    const store = memoryStore();
    const short = { store, providers: [defineProvider(gold())], leaseMilliseconds: 10 };
    expect((await failure(() => createEngine(short))).message).toMatch(/leaseMilliseconds/);
    expect((await failure(() => createEngine({ store, providers: [] }))).code).toBe('INVALID_OPTIONS');
    const twice = [defineProvider(gold()), defineProvider({ ...gold(), site: 'b' })];
    expect((await failure(() => createEngine({ store, providers: twice }))).code).toBe('DUPLICATE_NAME');
  });

  it('with two parts for one type are refused, and the part is named', async () => {
    const error = await failure(() => defineProvider({ ...gold(), parts: [part(), part()] }));
    expect(error.code).toBe('DUPLICATE_NAME');
    expect(error.message).toMatch(/Local::Application.*local/);
  });

  it('without the keys of a bank are refused', async () => {
    for (const keys of [undefined, {}, { contract: 2 }]) {
      const banks = [{ ...gold().banks[0], keys }] as unknown as ProviderOptions['banks'];
      const error = await failure(() => defineProvider({ ...gold(), banks }));
      expect(error).toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringMatching(/banks\.0\.keys/),
      });
    }
  });

  it('with two key providers for one bank are refused, and both providers are named', async () => {
    const bank = filesystemBank('/nowhere/bank');
    const providers = ['gold', 'silver'].map((name) =>
      defineProvider({ ...gold(), name, banks: [{ bank, keys: memoryKeys(), role: 'primary' }] }),
    );
    const error = await failure(() => createEngine({ store: memoryStore(), providers }));
    expect(error).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringMatching(/gold.*silver.*bank/),
    });
  });

  it('with two banks of one name are refused', async () => {
    await using directory = await temporaryDirectory();
    const other = defineProvider({
      ...gold(),
      name: 'other',
      banks: [{ bank: filesystemBank(join(directory.path, 'bank')), keys: KEYS, role: 'primary' }],
    });
    const providers = [defineProvider(gold()), other];
    const error = await failure(() => createEngine({ store: memoryStore(), providers }));
    expect(error.code).toBe('DUPLICATE_NAME');
  });
});

describe('ids', () => {
  const BAD = ['../x', '', 'x'.repeat(200), 'a/b', '.hidden', 'new\nline'];

  it('that are none are refused by a rejection', async () => {
    await using world = await openWorld();
    const { acme, engine } = world;
    for (const bad of BAD) {
      await refused(world, () => engine.for({ tenant: bad, actor: 'x' }), 'INVALID_ID');
      const [plan, checkpoint, job] = [bad as PlanId, bad as CheckpointId, bad as JobId];
      const calls: (() => Promise<unknown>)[] = [
        () => acme.protect(plan),
        () => acme.preview.protect(plan),
        () => acme.plans.get(plan),
        () => acme.plans.remove(plan),
        () => acme.checkpoints.get(checkpoint),
        () => acme.restore(checkpoint, { to: 'silver' }),
        () => acme.verify(checkpoint),
        () => acme.remove(checkpoint),
        () => acme.preview.remove(checkpoint),
        () => acme.jobs.get(job),
      ];
      for (const call of calls) await refused(world, call, 'INVALID_ID');
    }
  });

  it('that are none never make a call throw that returns a promise', async () => {
    await using world = await openWorld();
    const { acme } = world;
    const bad = '../x';
    const calls: Record<string, () => Promise<unknown>> = {
      'plans.get': () => acme.plans.get(bad as PlanId),
      'plans.remove': () => acme.plans.remove(bad as PlanId),
      'jobs.get': () => acme.jobs.get(bad as JobId),
      restore: () => acme.restore(bad as CheckpointId, { to: 'silver' }),
      verify: () => acme.verify(bad as CheckpointId),
      remove: () => acme.remove(bad as CheckpointId),
      'preview.remove': () => acme.preview.remove(bad as CheckpointId),
    };
    const thrown: string[] = [];
    for (const [name, call] of Object.entries(calls)) {
      try {
        await call().catch(() => undefined);
      } catch {
        thrown.push(name);
      }
    }
    expect(thrown).toEqual([]);
  });

  it('of another tenant are those of nothing', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const [{ id: job } = { id: '' as JobId }] = await all(world.acme.jobs.list());
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    await refused(world, () => rival.protect(world.plan.id), 'NOT_FOUND');
    await refused(world, () => rival.preview.protect(world.plan.id), 'NOT_FOUND');
    await refused(world, () => rival.checkpoints.get(checkpoint), 'NOT_FOUND');
    await refused(world, () => rival.preview.restore(checkpoint, { to: 'silver' }), 'NOT_FOUND');
    for (const start of [
      () => rival.restore(checkpoint, { to: 'silver' }),
      () => rival.verify(checkpoint),
      () => rival.remove(checkpoint),
    ]) {
      await refused(world, async () => (await start()).result(), 'NOT_FOUND');
    }
    await refused(world, () => rival.jobs.handle(job).result(), 'NOT_FOUND');
    expect(await rival.jobs.get(job)).toBeUndefined();
    expect(await rival.jobs.handle(job).cancel()).toBe(false);
    expect(await rival.plans.get(world.plan.id)).toBeUndefined();
    await rival.plans.remove(world.plan.id);
    expect(await world.acme.plans.get(world.plan.id)).toBeDefined();
    expect(await all(rival.checkpoints.list())).toEqual([]);
    expect(await all(rival.plans.list())).toEqual([]);
    expect(await all(rival.jobs.standIns(job))).toEqual([]);
  });

  it('of the greatest length are good for everything', async () => {
    let made = 0;
    await using world = await openWorld({
      options: {
        ids: () => {
          made += 1;
          return `${'x'.repeat(117)}${String(made).padStart(3, '0')}`;
        },
      },
    });
    const acme = world.engine.for({ tenant: 't'.repeat(120), actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const checkpoint = await protect({ acme, plan });
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('available');
  });
});
