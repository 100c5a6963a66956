import { describe, expect, it } from 'vitest';
import type { NewSchedule, ScheduleId } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import type { EngineEvent } from '../../../src/core/events.ts';
import { dueAt } from '../../../src/core/policy/calendar/jitter.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { all, failure } from '../engine/world.ts';
import {
  ACME,
  BEGIN,
  endJobs,
  HOUR,
  MINUTE,
  openJobs,
  scheduled,
  schedulerOf,
  SetClock,
  ticksOf,
} from './scheduling.ts';
import { ManualClock, settled } from './manual-clock.ts';

const S1 = 's1' as ScheduleId;

async function world(changes: Partial<NewSchedule> = {}) {
  const [store, clock, events] = [memoryStore(), new SetClock(), [] as EngineEvent[]];
  const schedule = await scheduled(store, changes);
  const scheduler = schedulerOf({ store, clock, events });
  /** Settles at an hour since the beginning. */
  const at = async (hour: number) => {
    clock.time = BEGIN + hour * HOUR;
    return scheduler.settle();
  };
  return { store, clock, events, schedule, scheduler, at };
}

describe('a scheduler', () => {
  it('fires a tick once, when it is due, and tells when the next one is', async () => {
    const { store, at, events } = await world();
    expect(await at(0.99)).toBe(BEGIN + HOUR);
    expect(await ticksOf(store)).toEqual([]);
    expect(await at(1)).toBe(BEGIN + 2 * HOUR);
    await at(1.1);
    expect(await ticksOf(store)).toEqual(['1 fired']);
    const [job] = await all(store.list(ACME, {}));
    expect(job).toMatchObject({ actor: 'ops', operation: 'protect', createdAt: BEGIN + HOUR });
    const tick = { time: BEGIN + HOUR, recordedAt: BEGIN + HOUR, state: 'fired', job: job?.id };
    expect(events).toEqual([{ type: 'schedule.tick', schedule: S1, tenant: ACME, tick }]);
  });

  it.each<[NewSchedule['missed'], string[]]>([
    ['run-once', ['1 stopped', '2 stopped', '3 fired']],
    ['skip', ['1 stopped', '2 stopped', '3 stopped']],
  ])('deals with late ticks by the rule %s', async (missed, expected) => {
    const { store, clock } = await world({ missed });
    clock.time = BEGIN + 3.5 * HOUR;
    await schedulerOf({ store, clock }).settle();
    expect(await ticksOf(store)).toEqual(expected);
  });

  it('tells the chain of missed ticks, once for each reason', async () => {
    const { store, at } = await world({ missed: 'skip' });
    await at(3.5);
    await at(4);
    await at(5);
    const object = { schedule: S1, plan: 'p1' };
    const hour = (number: number): string => new Date(BEGIN + number * HOUR).toISOString();
    const told = (await all(store.audit.list(ACME, {}))).filter(({ action }) => action === 'schedule.missed');
    expect(told).toMatchObject([
      {
        at: BEGIN + 3.5 * HOUR,
        actor: 'ops',
        object: { ...object, missed: 'window', ticks: '3', first: hour(1), last: hour(3) },
      },
      { object: { ...object, missed: 'overlapped', ticks: '1', first: hour(5), last: hour(5) } },
    ]);
  });

  it('catches up one after another', async () => {
    const { store, at, clock } = await world({ missed: 'catch-up', overlap: 'queue' });
    await at(3.5);
    expect(await ticksOf(store)).toEqual(['1 fired']);
    for (const hour of [3.6, 3.7, 3.8]) {
      await endJobs(store);
      await at(hour);
    }
    expect(await ticksOf(store)).toEqual(['1 fired', '2 fired', '3 fired']);
    expect(clock.time).toBe(BEGIN + 3.8 * HOUR);
  });

  it('fires a tick that is in time in place of late ones', async () => {
    const { store, at } = await world();
    await at(3.1);
    expect(await ticksOf(store)).toEqual(['1 window', '2 window', '3 fired']);
  });

  it('tells a tick that nobody could fire from one that somebody was too late for', async () => {
    const { store, clock } = await world({ missed: 'skip' });
    clock.time = BEGIN + 1.5 * HOUR;
    const scheduler = schedulerOf({ store, clock });
    clock.time = BEGIN + 2.5 * HOUR;
    await scheduler.settle();
    expect(await ticksOf(store)).toEqual(['1 stopped', '2 window']);
  });

  it('leaves out a tick while the job before is open, by the rule skip', async () => {
    const { store, at } = await world();
    await at(1);
    await at(2);
    await endJobs(store);
    await at(3);
    expect(await ticksOf(store)).toEqual(['1 fired', '2 overlapped', '3 fired']);
  });

  it('lets a tick wait for the job before, by the rule queue, until it is late', async () => {
    const { store, at } = await world({ overlap: 'queue', missed: 'skip' });
    await at(1);
    await at(2);
    expect(await ticksOf(store)).toEqual(['1 fired']);
    await endJobs(store);
    await at(2.1);
    expect(await ticksOf(store)).toEqual(['1 fired', '2 fired']);
    await at(3);
    await at(3.5);
    await endJobs(store);
    await at(4);
    expect(await ticksOf(store)).toEqual(['1 fired', '2 fired', '3 window', '4 fired']);
  });

  it('cancels the job before, by the rule cancel-older', async () => {
    const { store, at } = await world({ overlap: 'cancel-older' });
    await at(1);
    const [first] = await openJobs(store);
    await at(2);
    expect(await ticksOf(store)).toEqual(['1 fired', '2 fired']);
    const jobs = await all(store.list(ACME, {}));
    expect(jobs.map(({ id, cancelRequested }) => [id === first, cancelRequested])).toEqual([
      [true, true],
      [false, false],
    ]);
  });

  it('records the ticks of a pause as paused, and does not make them up', async () => {
    const { store, at, clock } = await world();
    const scope = { kind: 'site', site: 'fra' } as const;
    await store.schedules.pause(scope);
    await at(2);
    clock.time = BEGIN + 4.5 * HOUR;
    await store.schedules.resume(scope, clock.time);
    await at(5);
    expect(await ticksOf(store)).toEqual(['1 paused', '2 paused', '3 paused', '4 paused', '5 fired']);
  });

  it('records a tick as refused where its job cannot be made, and says why', async () => {
    const { store, clock } = await world();
    const before = () => Promise.reject(new FafnirError('NOT_FOUND', 'no such plan: p1'));
    clock.time = BEGIN + HOUR;
    await schedulerOf({ store, clock, before }).settle();
    const [tick] = await all(store.schedules.ticks(ACME, S1, {}));
    expect(tick).toMatchObject({ state: 'missed', reason: 'refused', error: { code: 'NOT_FOUND' } });
    expect(await openJobs(store)).toEqual([]);
  });

  it('tries a job again that cannot be made yet, until the tick is late', async () => {
    const { store, clock } = await world();
    let fails = true;
    const before = () => {
      if (fails) throw new FafnirError('UNAVAILABLE', 'the bank is away');
    };
    const scheduler = schedulerOf({ store, clock, before });
    clock.time = BEGIN + HOUR;
    expect(await scheduler.settle()).toBe(clock.time + 5_000);
    expect(await ticksOf(store)).toEqual([]);
    fails = false;
    clock.time += 5_000;
    await scheduler.settle();
    expect(await ticksOf(store)).toEqual(['1 fired']);
    await endJobs(store);
    fails = true;
    clock.time = BEGIN + 2 * HOUR;
    await scheduler.settle();
    clock.time += 11 * MINUTE;
    await scheduler.settle();
    expect(await ticksOf(store)).toEqual(['1 fired', '2 refused']);
  });

  it('fires a tick as many times later as its jitter says, on any host', async () => {
    const { store, schedule, at } = await world({ jitterMilliseconds: 30 * MINUTE });
    const due = dueAt(schedule, BEGIN + HOUR);
    expect(due).toBeGreaterThan(BEGIN + HOUR);
    expect(due).toBeLessThan(BEGIN + 1.5 * HOUR);
    expect(await at(1)).toBe(due);
    expect(await ticksOf(store)).toEqual([]);
    await at((due - BEGIN) / HOUR);
    expect(await ticksOf(store)).toEqual(['1 fired']);
    expect(dueAt(schedule, BEGIN + 2 * HOUR) - HOUR).not.toBe(due);
  });

  it('fires once where many look at the same time', async () => {
    const { store, clock } = await world();
    const schedulers = Array.from({ length: 5 }, () => schedulerOf({ store, clock }));
    for (const hour of [1, 2, 3]) {
      clock.time = BEGIN + hour * HOUR;
      await Promise.all(schedulers.map((scheduler) => scheduler.settle()));
      await endJobs(store);
    }
    expect(await ticksOf(store)).toEqual(['1 fired', '2 fired', '3 fired']);
    expect(await all(store.list(ACME, {}))).toHaveLength(3);
  });

  it('does not fire what was paused while its job was being made', async () => {
    const { store, clock } = await world();
    const before = () => store.schedules.pause({ kind: 'schedule', tenant: ACME, schedule: S1 });
    clock.time = BEGIN + HOUR;
    await schedulerOf({ store, clock, before }).settle();
    expect(await ticksOf(store)).toEqual(['1 paused']);
    expect(await openJobs(store)).toEqual([]);
  });

  it('records a long time without an engine in parts', async () => {
    const { store, at } = await world({ missed: 'skip' });
    await at(1_500.5);
    expect(await ticksOf(store)).toHaveLength(1_500);
    expect((await store.schedules.get(ACME, S1))?.revision).toBe(3);
  });

  it('ends with the last tick', async () => {
    const when = { cron: '0 * * * *', timeZone: 'UTC', start: BEGIN, end: BEGIN + HOUR };
    const { store, at } = await world({ when });
    expect(await at(1)).toBeUndefined();
    await at(9);
    expect(await ticksOf(store)).toEqual(['1 fired']);
  });

  it('holds up no other schedule where one cannot be read', async () => {
    const { store, clock, events } = await world();
    await scheduled(store, { id: 's2' as ScheduleId });
    const schedules = {
      ...store.schedules,
      get: (tenant: typeof ACME, id: ScheduleId) =>
        id === S1
          ? Promise.reject(new FafnirError('CORRUPT', 'schedule s1 is damaged'))
          : store.schedules.get(tenant, id),
    };
    clock.time = BEGIN + HOUR;
    await schedulerOf({ store: { ...store, schedules }, clock, events }).settle();
    expect(await ticksOf(store, 's2' as ScheduleId)).toEqual(['1 fired']);
    expect(events).toContainEqual({
      type: 'worker.failed',
      error: expect.objectContaining({ code: 'CORRUPT' }),
    });
  });

  it('wakes by the clock at the next tick, and ends', async () => {
    const store = memoryStore();
    const clock = new ManualClock();
    const start = clock.now();
    const when = { rrule: 'FREQ=DAILY', timeZone: 'UTC', start: start + 7_500 };
    await scheduled(store, { when, createdAt: start });
    const scheduler = schedulerOf({ store, clock });
    scheduler.start();
    await clock.advance(7_999);
    expect(await openJobs(store)).toHaveLength(0);
    await clock.advance(1);
    expect(await openJobs(store)).toHaveLength(1);
    await scheduler.close();
    await clock.advance(5 * 86_400_000);
    expect(await openJobs(store)).toHaveLength(1);
  });

  it('looks at once when it is told to', async () => {
    const store = memoryStore();
    const clock = new ManualClock();
    const scheduler = schedulerOf({ store, clock });
    scheduler.start();
    await settled();
    const when = { rrule: 'FREQ=DAILY', timeZone: 'UTC', start: clock.now() - 86_400_000 };
    await scheduled(store, { when, createdAt: clock.now() - 86_400_001 });
    scheduler.nudge();
    await settled();
    expect(await openJobs(store)).toHaveLength(1);
    await scheduler.close();
  });
});

describe('an event', () => {
  const events = { when: null, next: null, wakeAt: null };

  it('fires once, and tells what became of it when it comes again', async () => {
    const { store, clock, scheduler } = await world(events);
    const [tick, again] = await Promise.all([1, 2].map(() => scheduler.fire(ACME, S1, 'disk added')));
    expect(again).toEqual(tick);
    clock.time += HOUR;
    expect(await scheduler.fire(ACME, S1, 'disk added')).toEqual(tick);
    expect(tick).toMatchObject({ state: 'fired', event: 'disk added', time: BEGIN });
    expect(await openJobs(store)).toHaveLength(1);
  });

  it('obeys pauses and the rule for overlaps, and leaves the ticks of times alone', async () => {
    const { store, scheduler, at } = await world();
    await at(1);
    expect(await scheduler.fire(ACME, S1, 'a')).toMatchObject({ reason: 'overlapped' });
    await endJobs(store);
    expect(await scheduler.fire(ACME, S1, 'b')).toMatchObject({ state: 'fired' });
    await store.schedules.pause({
      kind: 'plan',
      tenant: ACME,
      plan: (await scheduled(store, { id: 's2' as ScheduleId })).plan,
    });
    expect(await scheduler.fire(ACME, S1, 'c')).toMatchObject({ reason: 'paused' });
    expect((await store.schedules.get(ACME, S1))?.next).toBe(BEGIN + 2 * HOUR);
  });

  it('is refused, and nothing is recorded, where its job cannot be made yet', async () => {
    const { store, clock } = await world(events);
    const before = () => Promise.reject(new FafnirError('UNAVAILABLE', 'the bank is away'));
    const { code } = await failure(() => schedulerOf({ store, clock, before }).fire(ACME, S1, 'a'));
    expect(code).toBe('UNAVAILABLE');
    expect(await all(store.schedules.ticks(ACME, S1, {}))).toEqual([]);
  });

  it('is NOT_FOUND for an unknown schedule', async () => {
    const { scheduler } = await world(events);
    expect((await failure(() => scheduler.fire(ACME, 's9' as ScheduleId, 'a'))).code).toBe('NOT_FOUND');
  });
});
