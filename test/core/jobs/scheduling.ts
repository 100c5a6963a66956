import type {
  Clock,
  JobId,
  JobStore,
  NewJob,
  NewSchedule,
  PlanId,
  ScheduleId,
  ScheduleRecord,
  ScheduleTick,
  TenantId,
} from '../../../src/core/contracts/index.ts';
import type { EngineEvent } from '../../../src/core/events.ts';
import { Scheduler } from '../../../src/core/jobs/scheduler.ts';
import { openCalendar } from '../../../src/core/policy/calendar/calendar.ts';
import { positionAt } from '../../../src/core/policy/calendar/due-ticks.ts';
import { ENDED, collect as all } from '../../../src/testing/job-store/fixtures.ts';

export const ACME: TenantId = 'acme' as TenantId;
export const MINUTE: number = 60_000;
export const HOUR: number = 60 * MINUTE;
/** When every schedule is made, unless it says otherwise. */
export const BEGIN: number = Date.parse('2026-01-01T00:00:00Z');

/** A time that stands still until it is set. */
export class SetClock implements Clock {
  time: number = BEGIN;
  now = (): number => this.time;
  monotonic = (): number => this.time;
  sleep = (): Promise<void> => Promise.reject(new Error('nothing sleeps on this clock'));
}

/** A schedule of every hour, kept in the store. */
export async function scheduled(
  store: JobStore,
  changes: Partial<NewSchedule> = {},
): Promise<ScheduleRecord> {
  const schedule: NewSchedule = {
    id: 's1' as ScheduleId,
    tenant: ACME,
    actor: 'ops',
    plan: 'p1' as PlanId,
    site: 'fra',
    when: { cron: '0 * * * *', timeZone: 'UTC', start: BEGIN },
    windowMilliseconds: 10 * MINUTE,
    jitterMilliseconds: 0,
    operation: { name: 'protect', options: {} },
    missed: 'run-once',
    overlap: 'skip',
    createdAt: BEGIN,
    next: null,
    wakeAt: null,
    ...changes,
  };
  if (schedule.when === null) return store.schedules.create(schedule);
  const first = (await openCalendar(schedule.when)).after(schedule.createdAt);
  return store.schedules.create({ ...schedule, ...positionAt(schedule, first) });
}

/** How a scheduler of a test is made. */
export interface Scheduling {
  readonly store: JobStore;
  readonly clock: Clock;
  /** Fails, or does something, before a job is made. */
  readonly before?: () => Promise<void> | void;
  readonly events?: EngineEvent[];
}

/** A scheduler whose jobs nobody runs. */
export const schedulerOf = ({ store, clock, before, events }: Scheduling): Scheduler =>
  new Scheduler({
    store,
    clock,
    jobOf: async ({ tenant, actor }, { id, now }): Promise<NewJob> => {
      await before?.();
      return { id, tenant, actor, operation: 'protect', operationVersion: 1, input: {}, createdAt: now };
    },
    cancel: (tenant, job) => store.requestCancel(tenant, job),
    take: async () => undefined,
    emit: (event) => void events?.push(event),
  });

/** Ends every job that is open. */
export async function endJobs(store: JobStore): Promise<void> {
  const request = { now: Number.MAX_SAFE_INTEGER, leaseUntil: Number.MAX_SAFE_INTEGER };
  for (let claim = await store.claim(request); claim !== undefined; claim = await store.claim(request)) {
    await store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
  }
}

/** What became of ticks, as hours since the beginning and a word. */
export async function ticksOf(store: JobStore, id: ScheduleId = 's1' as ScheduleId): Promise<string[]> {
  return (await all(store.schedules.ticks(ACME, id, {}))).map(
    (tick) => `${(tick.time - BEGIN) / HOUR} ${wordOf(tick)}`,
  );
}

/** What became of a tick. */
export const wordOf = (tick: ScheduleTick): string => (tick.state === 'fired' ? 'fired' : tick.reason);

/** The ids of the tenant's jobs that are open. */
export async function openJobs(store: JobStore): Promise<JobId[]> {
  return (await all(store.list(ACME, {}))).filter(({ outcome }) => outcome === undefined).map(({ id }) => id);
}
