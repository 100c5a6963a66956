import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { Engine, JobStore, PlanRecord, Quota, Session } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { postgresStore } from '../../../src/stores/postgres.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { postgresLab } from '../../lab/postgres/postgres.ts';
import { freshSchema } from '../../lab/postgres/schemas.ts';
import { temporaryDirectory } from './application.ts';
import { DISK, System } from './hosts.ts';
import { expectReconciled } from './metering.ts';
import { Fault, type Tap } from './taps.ts';
import {
  all,
  everything,
  failure,
  hastyClock,
  openWorld,
  protect,
  providersIn,
  type World,
} from './world.ts';

const SIZE = 3 * 3.5 * 2 ** 20;

/** A world whose tenant may have what `of.quota` says. */
async function limitedWorld(quota: Quota, of: { readonly provider?: string; readonly tap?: Tap } = {}) {
  const limits = { quota };
  const world = await openWorld({ ...of, options: { quota: () => limits.quota } });
  return Object.assign(world, { limits });
}

const refusal = ({ acme, plan }: Pick<World, 'acme' | 'plan'>) =>
  failure(async () => (await acme.protect(plan.id)).result());

describe('a quota', () => {
  it('refuses the checkpoint that is one too many, before anything is done; removing one makes room', async () => {
    await using world = await limitedWorld({ checkpoints: 1 });
    const first = await protect(world);
    const before = await everything(world);
    const error = await refusal(world);
    expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED', retryable: false });
    expect(error.message).toMatch(
      /tenant acme may have 1 checkpoints: 1 used, 0 reserved by jobs, 1 asked for/,
    );
    expect(await everything(world)).toEqual(before);
    await (await world.acme.remove(first)).result();
    await protect(world);
    expect((await world.acme.quota()).checkpoints).toEqual({ used: 1, reserved: 0, allowed: 1 });
  });

  it('counts the size of the volumes of every checkpoint', async () => {
    await using world = await limitedWorld({ protected: 2 * SIZE });
    await protect(world);
    await protect(world);
    expect(await refusal(world)).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect((await world.acme.quota()).protected).toEqual({ used: 2 * SIZE, reserved: 0, allowed: 2 * SIZE });
  });

  it('has room for a whole archive before one is begun, and is settled with what was stored', async () => {
    await using world = await limitedWorld({ stored: SIZE - 1 });
    expect(await refusal(world)).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    world.limits.quota = { stored: SIZE };
    await protect(world);
    const { stored } = await world.acme.quota();
    expect(stored.reserved).toBe(0);
    expect(stored.used).toBeGreaterThan(700_000);
    expect(stored.used).toBeLessThan(SIZE);
  });

  it('of what is stored does not refuse a snapshot, but its archive, in the background as well', async () => {
    await using world = await limitedWorld({ stored: 100 }, { provider: 'bronze' });
    const checkpoint = await protect(world);
    expect(await failure(async () => (await world.acme.archive(checkpoint)).result())).toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    const { state } = (await all(world.acme.checkpoints.list()))[0] ?? {};
    expect(state).toBe('available');
    world.limits.quota = {};
    await (await world.acme.archive(checkpoint)).result();
  });

  it('that was lowered removes nothing, refuses what is new, and lets what gives back go on', async () => {
    await using world = await limitedWorld({});
    const kept = await protect(world);
    const given = await protect(world);
    world.limits.quota = { checkpoints: 1, protected: 1, stored: 1 };
    expect(await refusal(world)).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect((await world.acme.quota()).checkpoints).toEqual({ used: 2, reserved: 0, allowed: 1 });
    await (await world.acme.verify(kept)).result();
    await (await world.acme.remove(given)).result();
    const before = (await world.acme.quota()).stored.used;
    const { bytes } = await (await world.acme.collect({ provider: 'gold' })).result();
    expect((await world.acme.quota()).stored.used).toBeLessThanOrEqual(before - bytes);
  });

  it('of plans, schedules and jobs is told where they are asked for', async () => {
    await using world = await limitedWorld({ plans: 1, schedules: 1, jobs: 1 });
    const { acme, plan } = world;
    const { name: _, ...again } = { name: 'again', provider: 'gold', resources: plan.resources };
    expect(await failure(() => acme.plans.create({ name: 'second', ...again }))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    const schedule = { plan: plan.id, when: { cron: '0 3 1 1 *' } };
    await acme.schedules.create(schedule);
    expect(await failure(() => acme.schedules.create(schedule))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    const job = await acme.protect(plan.id);
    const error = await failure(() => acme.protect(plan.id));
    expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED', retryable: true });
    expect((await acme.quota()).jobs).toEqual({ used: 1, reserved: 0, allowed: 1 });
    await job.result();
    await (await acme.protect(plan.id)).result();
    const other = world.engine.for({ tenant: 'other', actor: 'test' });
    await other.plans.create({ name: 'second', ...again });
  });

  it('of jobs holds for schedules too, and leaves no trace of what it refuses', async () => {
    await using world = await limitedWorld({ jobs: 0 });
    const { acme, plan, limits } = world;
    const { id } = await acme.schedules.create({ plan: plan.id });
    const fire = () => acme.schedules.fire(id, { event: 'deployed' });
    expect(await failure(fire)).toMatchObject({ code: 'QUOTA_EXCEEDED', retryable: true });
    expect(await all(acme.schedules.ticks(id))).toEqual([]);
    expect(await all(acme.jobs.list())).toEqual([]);
    limits.quota = { jobs: 1 };
    const tick = await fire();
    if (tick.state !== 'fired') throw new Error(`the tick is ${tick.state}`);
    await acme.jobs.handle(tick.job).result();
  });

  it('is given back by jobs that fail or are cancelled', async () => {
    const fault = { tap: new Fault({ at: 30 }).tap };
    await using world = await limitedWorld({ checkpoints: 1 }, { tap: (...call) => fault.tap(...call) });
    await failure(async () => (await world.acme.protect(world.plan.id)).result());
    const job = await world.acme.protect(world.plan.id);
    await job.cancel();
    await failure(() => job.result());
    expect((await world.acme.quota()).checkpoints).toEqual({ used: 0, reserved: 0, allowed: 1 });
    await protect(world);
  });

  it('that the host cannot tell, or tells wrongly, lets nothing in', async () => {
    await using world = await limitedWorld({});
    world.limits.quota = { checkpoint: 1 } as Quota;
    expect(await failure(() => world.acme.protect(world.plan.id))).toMatchObject({ code: 'WRONG_ANSWER' });
    world.limits.quota = { checkpoints: -1 };
    expect(await failure(() => world.acme.quota())).toMatchObject({ code: 'WRONG_ANSWER' });
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });

  it('counts what a bank has that the store knows nothing of, once it was collected', async () => {
    await using world = await openWorld();
    await protect(world);
    await protect(world);
    const providers = Object.values(providersIn(world.path));
    const store = sqliteStore(join(world.path, 'new.db'));
    await using engine = await createEngine({ store, providers, clock: hastyClock, quota: () => ({}) });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    expect((await acme.quota()).checkpoints.used).toBe(0);
    await (await acme.collect({ provider: 'gold' })).result();
    const { checkpoints, protected: size } = await acme.quota();
    expect([checkpoints.used, size.used]).toEqual([2, 2 * SIZE]);
    await expectReconciled(acme, filesystemBank(join(world.path, 'bank')), 'the collection');
    await (await acme.collect({ provider: 'gold' })).result();
    await expectReconciled(acme, filesystemBank(join(world.path, 'bank')), 'another one');
  });
});

const HOSTS = ['1', '2', '3', '4', '5', '6', '7', '8'];
const DISKS = HOSTS.map((name) => `a/${name}`);
const DISK_SIZE = 8_192;

/** Two engines on one store, whose tenant has a plan for each of the disks. */
async function twoEngines(
  open: () => JobStore,
  quota: Quota,
): Promise<{ engines: readonly Engine[]; sessions: readonly Session[]; plans: readonly PlanRecord[] }> {
  const hosts = Object.fromEntries(HOSTS.map((name) => [name, { disks: [`a/${name}`] }]));
  const system = new System(hosts, { concurrency: 8, archived: true });
  const make = () => createEngine({ store: open(), providers: [system.provider], quota: () => quota });
  const engines = [await make(), await make()];
  const sessions = engines.map((engine) => engine.for({ tenant: 'acme', actor: 'test' }));
  const plans: PlanRecord[] = [];
  for (const id of DISKS) {
    const plan = await sessions[0]?.plans.create({
      name: id,
      provider: 'sim',
      resources: [{ type: DISK, id }],
    });
    if (plan !== undefined) plans.push(plan);
  }
  return { engines, sessions, plans };
}

/** All that is asked of both engines at once: exactly as many succeed as fit. */
async function together(open: () => JobStore, quota: Quota, fit: number): Promise<void> {
  const { engines, sessions, plans } = await twoEngines(open, quota);
  try {
    const outcomes = plans.map(async ({ id }, at) => {
      const session = sessions[at % 2];
      if (session === undefined) throw new Error('there are two');
      return (await session.protect(id)).result();
    });
    let running = true;
    const watched = (async () => {
      while (running) {
        await delay(5);
        const { checkpoints, protected: size } = (await sessions[0]?.quota()) ?? {};
        for (const { used, reserved, allowed } of [checkpoints, size].flatMap((one) => one ?? []))
          expect(used + reserved).toBeLessThanOrEqual(allowed ?? Number.POSITIVE_INFINITY);
      }
    })();
    const settled = await Promise.allSettled(outcomes);
    running = false;
    await watched;
    const refused = settled.flatMap((one) => (one.status === 'rejected' ? one.reason.code : []));
    expect(refused).toEqual(Array.from({ length: plans.length - fit }, () => 'QUOTA_EXCEEDED'));
    const standing = await sessions[1]?.quota();
    expect(standing?.checkpoints).toMatchObject({ used: fit, reserved: 0 });
    expect(standing?.protected).toMatchObject({ used: fit * DISK_SIZE, reserved: 0 });
    expect(standing?.stored.reserved).toBe(0);
  } finally {
    for (const engine of engines) await engine.close();
  }
}

const QUOTAS: readonly (readonly [string, Quota, number])[] = [
  ['checkpoints', { checkpoints: 3 }, 3],
  ['bytes', { protected: 6 * DISK_SIZE - 1, checkpoints: 7 }, 5],
];

describe.each(QUOTAS)('two engines that together try to go over a quota of %s', (_name, quota, fit) => {
  it('on one SQLite file let exactly so many in as fit', async () => {
    await using directory = await temporaryDirectory();
    await together(() => sqliteStore(join(directory.path, 'fafnir.db')), quota, fit);
  });

  const { url = '', skipped } = postgresLab();
  const why = skipped ? ` (${skipped})` : '';
  it.skipIf(skipped !== undefined)(`on one PostgreSQL let exactly so many in as fit${why}`, async () => {
    const schema = await freshSchema(url);
    try {
      await together(() => postgresStore({ url, schema: schema.name, connections: 6 }), quota, fit);
    } finally {
      await schema.drop();
    }
  });
});
