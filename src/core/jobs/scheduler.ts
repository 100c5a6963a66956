import { createHash } from 'node:crypto';
import pMap from 'p-map';
import type {
  AuditEntry,
  Clock,
  JobId,
  JobStore,
  NewJob,
  ScheduleAdvance,
  ScheduleId,
  SchedulePosition,
  ScheduleRecord,
  ScheduleTick,
  ScheduleWake,
  TenantId,
} from '../contracts/index.ts';
import { briefRecord, errorRecord, FafnirError } from '../errors.ts';
import type { EngineEvent } from '../events.ts';
import { openCalendar } from '../policy/calendar/calendar.ts';
import { dueTicks } from '../policy/calendar/due-ticks.ts';
import type { QuotaOf } from '../policy/quota.ts';
import { type Asked, missedOf, submitted } from './audit.ts';

// How soon a schedule is noticed that another process made, and a tick that waits is tried again.
const LOOK_PAUSE = 5_000;
const PAGE = 100;
const AT_ONCE = 8;

/** What a scheduler works with. */
export interface SchedulerOptions {
  /** Where schedules and jobs live. */
  readonly store: JobStore;
  /** The time. */
  readonly clock: Clock;
  /** Makes the job of a tick from what is so now; nothing has happened before it is in the store. */
  jobOf(schedule: ScheduleRecord, tick: { readonly id: JobId; readonly now: number }): Promise<NewJob>;
  /** Asks for the end of a job. */
  cancel(tenant: TenantId, job: JobId, audit: AuditEntry): Promise<unknown>;
  /** Takes up a job that was made. */
  take(job: JobId): Promise<void>;
  /** Tells what a tenant may have. Without it there are no quotas. */
  readonly quotaOf?: QuotaOf;
  /** Tells the host. */
  emit(event: EngineEvent): void;
}

type Missed = Extract<ScheduleTick, { readonly state: 'missed' }>;

/**
 * Fires the ticks of schedules, or records that they were missed. Any number of them may work on one store: a tick, its
 * job and the schedule's step onwards are one transaction, which only one of them gets to do, and a process that dies
 * has done all of it or nothing.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #closing = new AbortController();
  readonly #since: number;
  #nudged = new AbortController();
  #working: Promise<void> = Promise.resolve();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#since = options.clock.now();
  }

  /** Begins to look at schedules. */
  start(): void {
    this.#working = this.#work();
  }

  /** Looks at schedules now: there is a new one, or one was resumed. */
  nudge(): void {
    this.#nudged.abort();
  }

  /** Resolves when no tick is being dealt with, and none will be. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#working;
  }

  /**
   * Deals with all that is due; resolves with when something is due next. What goes wrong with one schedule holds
   * up no other, and is tried again.
   */
  async settle(): Promise<number | undefined> {
    const { store, clock } = this.#options;
    for (;;) {
      const now = clock.now();
      const wakes = await store.schedules.earliest(PAGE);
      const due = wakes.filter(({ wakeAt }) => wakeAt <= now);
      const done = await pMap(due, (wake) => this.#settleOne(wake, now), { concurrency: AT_ONCE });
      if (done.includes(true) && !this.#closing.signal.aborted) continue;
      return wakes.find(({ wakeAt }) => wakeAt > now)?.wakeAt;
    }
  }

  /**
   * Fires a schedule because of an event that somebody tells of, once: what became of it is told again where it was. `NOT_FOUND` for an unknown
   * schedule; an error that may pass rejects, and nothing is recorded.
   */
  async fire(tenant: TenantId, id: ScheduleId, event: string, asked: Asked = {}): Promise<ScheduleTick> {
    const { store, clock } = this.#options;
    for (;;) {
      const known = await store.schedules.event(tenant, id, event);
      if (known !== undefined) return known;
      const schedule = await store.schedules.get(tenant, id);
      if (schedule === undefined) throw new FafnirError('NOT_FOUND', `no such schedule: ${id}`);
      const time = clock.now();
      const named = { time, event, recordedAt: time };
      const { next, wakeAt } = schedule;
      if (schedule.pausedBy.length > 0) {
        const tick: Missed = { ...named, state: 'missed', reason: 'paused' };
        if (await this.#record(schedule, { to: { next, wakeAt }, ticks: [tick] }, asked)) return tick;
        continue;
      }
      const fired = await this.#fire(schedule, { next, wakeAt }, [], named, asked);
      if (fired instanceof FafnirError) throw fired;
      if (fired !== undefined) return fired;
    }
  }

  async #work(): Promise<void> {
    const { clock, emit } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#nudged = new AbortController();
      const next = await this.settle().catch((error: unknown) => {
        emit({ type: 'worker.failed', error: errorRecord(error) });
        return undefined;
      });
      const pause = Math.min(LOOK_PAUSE, Math.max(0, (next ?? Number.POSITIVE_INFINITY) - clock.now()));
      const woken = AbortSignal.any([signal, this.#nudged.signal]);
      await clock.sleep(pause, { signal: woken }).catch(() => undefined);
    }
  }

  // True where something was done, so that there may be more to do.
  async #settleOne({ tenant, id }: ScheduleWake, now: number): Promise<boolean> {
    const { store, emit } = this.#options;
    try {
      const schedule = await store.schedules.get(tenant, id);
      if (this.#closing.signal.aborted || schedule === undefined || schedule.when === null) return false;
      await this.#step(schedule, await openCalendar(schedule.when), now);
      return true;
    } catch (error) {
      emit({ type: 'worker.failed', error: errorRecord(error) });
      return false;
    }
  }

  async #step(
    schedule: ScheduleRecord,
    calendar: Awaited<ReturnType<typeof openCalendar>>,
    now: number,
  ): Promise<void> {
    const { missed, fire, late, to } = dueTicks(schedule, calendar, { now, since: this.#since });
    const ticks = missed.map((tick): Missed => ({ ...tick, recordedAt: now, state: 'missed' }));
    if (fire === null) {
      await this.#record(schedule, { to, ticks });
      return;
    }
    const waiting = { next: fire, wakeAt: now + LOOK_PAUSE };
    if (schedule.overlap === 'queue' && (await this.#isOpen(schedule))) {
      await this.#record(schedule, { to: waiting, ticks });
      return;
    }
    const fired = await this.#fire(schedule, to, ticks, { time: fire, recordedAt: now });
    if (!(fired instanceof FafnirError)) return;
    // May pass, and has until the tick is late.
    const last = refused({ time: fire, recordedAt: now }, fired);
    await this.#record(schedule, late ? { to, ticks: [...ticks, last] } : { to: waiting, ticks });
  }

  // What became of the tick; undefined where the schedule has changed meanwhile, an error where it may pass.
  async #fire(
    schedule: ScheduleRecord,
    to: SchedulePosition,
    before: readonly ScheduleTick[],
    named: Pick<ScheduleTick, 'time' | 'event' | 'recordedAt'>,
    asked: Asked = {},
  ): Promise<ScheduleTick | FafnirError | undefined> {
    const { cancel, jobOf, take } = this.#options;
    const { tenant, lastJob, overlap } = schedule;
    if (overlap !== 'queue' && lastJob !== null && (await this.#isOpen(schedule))) {
      if (overlap === 'skip') {
        const tick: Missed = { ...named, state: 'missed', reason: 'overlapped' };
        return (await this.#record(schedule, { to, ticks: [...before, tick] }, asked)) ? tick : undefined;
      }
      await cancel(tenant, lastJob, {
        at: named.recordedAt,
        actor: schedule.actor,
        ...asked,
        action: 'job.cancel-requested',
        object: { job: lastJob, schedule: schedule.id },
      });
    }
    const id = jobIdOf(schedule, named);
    const tick: ScheduleTick = { ...named, state: 'fired', job: id };
    try {
      const job = await jobOf(schedule, { id, now: named.recordedAt });
      const entry = submitted(job, { ...asked, object: { schedule: schedule.id } });
      const advance = { to, ticks: [...before, tick], job, ...(entry && { audit: entry }) };
      if (!(await this.#record(schedule, advance))) return undefined;
    } catch (error) {
      const refusal = FafnirError.from(error, 'PLUGIN_FAILED', `schedule ${schedule.id}`);
      if (refusal.retryable) return refusal;
      const missed = refused(named, refusal);
      return (await this.#record(schedule, { to, ticks: [...before, missed] }, asked)) ? missed : undefined;
    }
    await take(id);
    return tick;
  }

  async #record(schedule: ScheduleRecord, advance: ScheduleAdvance, asked: Asked = {}): Promise<boolean> {
    const { store, emit, quotaOf } = this.#options;
    const { ticks, job } = advance;
    const quota = job && (await quotaOf?.(job.tenant));
    const missed = missedOf(schedule, ticks, asked);
    const isDone = await store.schedules.advance(schedule, { ...advance, missed, ...(quota && { quota }) });
    const { tenant, id } = schedule;
    for (const tick of isDone ? ticks : []) emit({ type: 'schedule.tick', schedule: id, tenant, tick });
    return isDone;
  }

  async #isOpen({ tenant, lastJob }: ScheduleRecord): Promise<boolean> {
    if (lastJob === null) return false;
    const job = await this.#options.store.get(tenant, lastJob);
    return job !== undefined && job.outcome === undefined;
  }
}

const refused = (named: Pick<ScheduleTick, 'time' | 'event' | 'recordedAt'>, error: FafnirError): Missed => ({
  ...named,
  state: 'missed',
  reason: 'refused',
  error: briefRecord(error),
});

// In the form of other ids, so that jobs are taken in the order of their times; the same on every host.
function jobIdOf(
  { tenant, id }: Pick<ScheduleRecord, 'tenant' | 'id'>,
  { time, event }: Pick<ScheduleTick, 'time' | 'event'>,
): JobId {
  const digest = createHash('sha256').update(JSON.stringify([tenant, id, time, event ?? null]));
  return (Math.floor(time).toString(16).padStart(12, '0') + digest.digest('hex').slice(0, 20)) as JobId;
}
