import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import type {
  Clock,
  EngineEvent,
  PlanId,
  ScheduleId,
  ScheduleRequest,
  ScheduleTick,
} from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { SHOP } from './application.ts';
import { all, failure, openWorld, protect, providersIn, type World } from './world.ts';

/** The machine's clock, ahead by as much as a test says; pauses are short, so that what was skipped is noticed. */
class AheadClock implements Clock {
  ahead = 0;
  now = (): number => systemClock.now() + this.ahead;
  monotonic = systemClock.monotonic;
  sleep: Clock['sleep'] = (milliseconds, call) => systemClock.sleep(Math.min(milliseconds, 5), call);
}

async function scheduledWorld(request: Partial<ScheduleRequest> = {}) {
  const clock = new AheadClock();
  const world = await openWorld({ options: { clock } });
  const { acme, plan, engine } = world;
  const schedule = await acme.schedules.create({ plan: plan.id, when: { cron: '0 3 * * *' }, ...request });
  const ticks: ScheduleTick[] = [];
  let wake = (): void => undefined;
  engine.on('schedule.tick', ({ tick }: Extract<EngineEvent, { type: 'schedule.tick' }>) => {
    ticks.push(tick);
    wake();
  });
  /** Goes on to the next tick; resolves with what became of it. */
  const nextTick = async (): Promise<ScheduleTick> => {
    const told = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const { next } = (await acme.schedules.get(schedule.id)) ?? { next: null };
    clock.ahead = (next ?? 0) - systemClock.now();
    await told;
    const tick = ticks.at(-1);
    if (tick === undefined) throw new Error('nothing was told');
    return tick;
  };
  return {
    ...world,
    world,
    clock,
    schedule,
    nextTick,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

/** The result of the job that a tick fired. */
async function resultOf({ acme }: Pick<World, 'acme'>, tick: ScheduleTick): Promise<unknown> {
  if (tick.state !== 'fired') throw new Error(`the tick was missed: ${tick.reason} ${tick.error?.message}`);
  return acme.jobs.handle(tick.job).result();
}

describe('a schedule', () => {
  it('protects its plan at its ticks', async () => {
    await using it = await scheduledWorld({
      operation: { name: 'protect', options: { policy: { archive: true } } },
    });
    expect(it.schedule).toMatchObject({ actor: 'test', site: 'a', missed: 'run-once', overlap: 'skip' });
    const tick = await it.nextTick();
    expect(new Date(tick.time).toISOString()).toMatch(/T03:00:00.000Z$/);
    expect(await resultOf(it, tick)).toMatchObject({ state: 'available' });
    await resultOf(it, await it.nextTick());
    expect(await all(it.acme.checkpoints.list())).toHaveLength(2);
    const [first] = await all(it.acme.schedules.ticks(it.schedule.id));
    expect(first).toEqual(tick);
  });

  it('verifies the newest checkpoint of its plan, and is refused where there is none', async () => {
    await using it = await scheduledWorld({ operation: { name: 'verify', options: { level: 'tags' } } });
    expect(await it.nextTick()).toMatchObject({
      state: 'missed',
      reason: 'refused',
      error: { code: 'NOT_FOUND' },
    });
    await protect(it);
    const newest = await protect(it);
    expect(await resultOf(it, await it.nextTick())).toMatchObject({ checkpoint: newest });
  });

  it('collects in the bank of its plan', async () => {
    await using it = await scheduledWorld({ operation: { name: 'collect' } });
    await resultOf(it, await it.nextTick());
    const [job] = await all(it.acme.jobs.list());
    expect(job).toMatchObject({ operation: 'collect', state: 'succeeded', actor: 'test' });
  });

  it('retains what the policy wants, and is refused where there is none', async () => {
    const policy = { archive: { last: 1 } };
    await using it = await scheduledWorld({ operation: { name: 'retain', options: { policy } } });
    const older = await protect(it);
    await protect(it);
    expect(await resultOf(it, await it.nextTick())).toMatchObject({ removed: [older] });
    await using without = await scheduledWorld({ operation: { name: 'retain' } });
    expect(await without.nextTick()).toMatchObject({
      reason: 'refused',
      error: { code: 'INVALID_OPTIONS' },
    });
  });

  it('is refused where its plan was removed', async () => {
    await using it = await scheduledWorld();
    await it.acme.plans.remove(it.plan.id);
    expect(await it.nextTick()).toMatchObject({ reason: 'refused', error: { code: 'NOT_FOUND' } });
  });

  it.each(['site', 'plan', 'schedule'] as const)('stands still while its %s is paused', async (kind) => {
    await using it = await scheduledWorld();
    const { engine, acme, plan, schedule } = it;
    if (kind === 'site') await engine.schedules.pause({ site: 'a' });
    else await acme.schedules.pause(kind === 'plan' ? { plan: plan.id } : { schedule: schedule.id });
    expect((await acme.schedules.get(schedule.id))?.pausedBy).toEqual([kind]);
    expect(await all(engine.schedules.pauses())).toHaveLength(1);
    expect(await it.nextTick()).toMatchObject({ state: 'missed', reason: 'paused' });
    if (kind === 'site') await engine.schedules.resume({ site: 'a' });
    else if (kind === 'plan') await engine.schedules.resume({ tenant: 'acme', plan: plan.id });
    else await acme.schedules.resume({ schedule: schedule.id });
    await resultOf(it, await it.nextTick());
  });

  it('is fired by an event of the host, once', async () => {
    await using it = await scheduledWorld();
    const { acme, plan } = it;
    const { id, when, next } = await acme.schedules.create({ plan: plan.id });
    expect([when, next]).toEqual([null, null]);
    const tick = await acme.schedules.fire(id, { event: 'before the upgrade' });
    await resultOf(it, tick);
    expect(await acme.schedules.fire(id, { event: 'before the upgrade' })).toEqual(tick);
    expect(await all(acme.checkpoints.list())).toHaveLength(1);
  });

  it('is seen and reached by its tenant alone', async () => {
    await using it = await scheduledWorld();
    const other = it.engine.for({ tenant: 'other', actor: 'test' });
    expect(await all(other.schedules.list())).toEqual([]);
    expect(await other.schedules.get(it.schedule.id)).toBeUndefined();
    expect((await failure(() => other.schedules.fire(it.schedule.id, { event: 'e' }))).code).toBe(
      'NOT_FOUND',
    );
    await other.schedules.remove(it.schedule.id);
    expect(await all(it.acme.schedules.list())).toEqual([it.schedule]);
    await it.acme.schedules.remove(it.schedule.id);
    expect(await all(it.acme.schedules.list())).toEqual([]);
  });

  it.each<[string, Partial<ScheduleRequest> | Record<string, unknown>, string]>([
    ['an unknown plan', { plan: 'none' as PlanId }, 'NOT_FOUND'],
    ['no tick', { when: { cron: '0 0 31 2 *' } }, 'INVALID_OPTIONS'],
    ['ticks that have been', { when: { cron: '@daily', end: 1_000 } }, 'INVALID_OPTIONS'],
    ['an unknown time zone', { when: { cron: '@daily', timeZone: 'Mars/Olympus' } }, 'INVALID_OPTIONS'],
    ['a window of no length', { when: { cron: '@daily', window: 0 } }, 'INVALID_OPTIONS'],
    ['an unknown option', { when: { cron: '@daily', zone: 'UTC' } }, 'INVALID_OPTIONS'],
    ['catching up without a queue', { missed: 'catch-up' }, 'INVALID_OPTIONS'],
    ['an unknown operation', { operation: { name: 'restore' } }, 'INVALID_OPTIONS'],
    [
      'an option of another operation',
      { operation: { name: 'verify', options: { policy: {} } } },
      'INVALID_OPTIONS',
    ],
  ])('is refused with %s', async (_, request, code) => {
    await using world = await openWorld();
    const asked = { plan: world.plan.id, when: { cron: '@daily' }, ...request } as ScheduleRequest;
    expect((await failure(() => world.acme.schedules.create(asked))).code).toBe(code);
    expect(await all(world.acme.schedules.list())).toEqual([]);
  });

  it('is left to others by an engine that does not work, and by one that is told so', async () => {
    await using world = await openWorld();
    const path = join(world.path, 'jobs.db');
    const providers = Object.values(providersIn(world.path));
    const clock = new AheadClock();
    const asks = await createEngine({ store: sqliteStore(path), providers, clock, worker: false });
    const leaves = await createEngine({ store: sqliteStore(path), providers, clock, schedules: false });
    const session = asks.for({ tenant: 'acme', actor: 'test' });
    const plan = await session.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const { id } = await session.schedules.create({ plan: plan.id, when: { cron: '* * * * *' } });
    clock.ahead = 120_000;
    await clock.sleep(5, { signal: new AbortController().signal });
    expect(await all(session.schedules.ticks(id))).toEqual([]);
    await using works = await createEngine({ store: sqliteStore(path), providers, clock });
    const told = new Promise((resolve) => works.on('schedule.tick', resolve));
    expect(await told).toMatchObject({ schedule: id });
    await Promise.all([asks.close(), leaves.close()]);
  });

  it('cannot be asked for by what is no id', async () => {
    await using engine = await createEngine({
      store: memoryStore(),
      providers: Object.values(providersIn('/nowhere')),
    });
    const { schedules } = engine.for({ tenant: 'acme', actor: 'test' });
    for (const id of ['', '../x', 'a b'] as ScheduleId[]) {
      expect((await failure(() => schedules.get(id))).code).toBe('INVALID_ID');
      expect((await failure(() => schedules.pause({ schedule: id }))).code).toBe('INVALID_ID');
    }
    expect((await failure(() => engine.schedules.pause({ site: '' }))).code).toBe('INVALID_OPTIONS');
  });
});
