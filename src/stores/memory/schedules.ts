import type {
  Addition,
  NewJob,
  NewSchedule,
  Quota,
  ScheduleId,
  ScheduleRecord,
  ScheduleStore,
  ScheduleTick,
  TenantId,
} from '../../core/contracts/index.ts';
import { KEPT_TICKS } from '../../core/kept-ticks.ts';
import {
  type KeptSchedule,
  keepSchedule,
  keepTick,
  pauseKey,
  pauseKeys,
  type PauseKey,
  pauseScope,
  scheduleExists,
  scheduleRecord,
  tickExists,
  tickRecord,
} from '../schedule-records.ts';
import { tenantOf } from '../audit.ts';
import type { MemoryAudit } from './audit.ts';

type KeptTick = Pick<ScheduleTick, 'time'> & {
  /** How many were recorded before. */
  readonly number: number;
  /** As JSON. */
  readonly text: string;
};
// By time, or by event: each is there once.
type Ticks = Map<number | string, KeptTick>;
type Entry = { kept: KeptSchedule; recorded: number; readonly times: Ticks; readonly events: Ticks };

/** What the schedules of a memory store need of its jobs. */
export interface ScheduledJobs {
  /** Rejects a call of a closed store. */
  assertOpen(): void;
  /** Adds a job as `enqueue` does. */
  add(job: NewJob, addition: Addition): void;
  /** The chains. */
  readonly audit: MemoryAudit;
  /** Rejects a schedule that the tenant may not have. */
  assertRoom(schedule: NewSchedule, quota: Quota | undefined): void;
}

const textOf = (key: PauseKey): string => JSON.stringify(key);

/** The schedules of a memory store. */
export function memorySchedules({ assertOpen, add, audit, assertRoom }: ScheduledJobs): {
  readonly store: ScheduleStore;
  /** How many the tenant has. */
  count(tenant: TenantId): number;
} {
  const entries = new Map<string, Entry>();
  const pauses = new Map<string, PauseKey>();

  const keyOf = (tenant: TenantId, id: ScheduleId): string => JSON.stringify([tenant, id]);
  const find = (tenant: TenantId, id: ScheduleId): Entry | undefined => {
    assertOpen();
    return entries.get(keyOf(tenant, id));
  };
  const pausesOf = (kept: KeptSchedule): PauseKey[] =>
    pauseKeys(kept).filter((key) => pauses.has(textOf(key)));
  const recordOf = ({ kept }: Entry): ScheduleRecord =>
    scheduleRecord(
      kept,
      pausesOf(kept).map(([kind]) => kind),
    );

  const store: ScheduleStore = {
    async create(schedule, addition = {}) {
      if (find(schedule.tenant, schedule.id) !== undefined) throw scheduleExists(schedule);
      const entry: Entry = { kept: keepSchedule(schedule), recorded: 0, times: new Map(), events: new Map() };
      assertRoom(schedule, addition.quota);
      entries.set(keyOf(schedule.tenant, schedule.id), entry);
      audit.tell(schedule.tenant, addition.audit);
      return recordOf(entry);
    },
    async get(tenant, id) {
      const entry = find(tenant, id);
      return entry && recordOf(entry);
    },
    async *list(tenant) {
      assertOpen();
      const listed = [...entries.values()].map(({ kept }) => kept).filter((kept) => kept.tenant === tenant);
      for (const id of listed.map((kept) => kept.id).sort()) {
        const entry = find(tenant, id);
        if (entry !== undefined) yield recordOf(entry);
      }
    },
    async remove(tenant, id, audited) {
      assertOpen();
      if (entries.delete(keyOf(tenant, id))) audit.tell(tenant, audited);
      pauses.delete(textOf(pauseKey({ kind: 'schedule', tenant, schedule: id })));
    },
    async earliest(limit) {
      assertOpen();
      return [...entries.values()]
        .flatMap(({ kept: { tenant, id, wakeAt } }) => (wakeAt === null ? [] : [{ tenant, id, wakeAt }]))
        .sort((one, other) => one.wakeAt - other.wakeAt)
        .slice(0, limit);
    },
    async advance(schedule, { to, ticks, job, missed = [], ...addition }) {
      const entry = find(schedule.tenant, schedule.id);
      if (entry === undefined || entry.kept.revision !== schedule.revision) return false;
      if (job !== undefined && pausesOf(entry.kept).length > 0) return false;
      const known = oldestKept(entry);
      const added = new Map<number | string, ScheduleTick>();
      for (const tick of ticks) {
        const { time, event } = tick;
        const isKnown = event === undefined ? entry.times.has(time) || time < known : entry.events.has(event);
        if (isKnown || added.has(event ?? time)) throw tickExists(schedule, tick);
        added.set(event ?? time, tick);
      }
      const texts = ticks.map((tick) => keepTick(schedule, tick));
      if (job !== undefined) add(job, addition);
      const { revision, lastJob } = entry.kept;
      const { next, wakeAt } = to;
      entry.kept = { ...entry.kept, next, wakeAt, revision: revision + 1, lastJob: job?.id ?? lastJob };
      for (const [at, { time, event }] of ticks.entries()) {
        const tick = { time, number: entry.recorded++, text: texts[at] ?? '' };
        if (event === undefined) entry.times.set(time, tick);
        else entry.events.set(event, tick);
      }
      const oldest = oldestKept(entry);
      for (const [key, { time }] of entry.times) if (time < oldest) entry.times.delete(key);
      for (const one of missed) audit.tell(schedule.tenant, one);
      return true;
    },
    async *ticks(tenant, id, { from = Number.NEGATIVE_INFINITY }) {
      const { times = [], events = [] } = find(tenant, id) ?? {};
      const listed = [...times, ...events].flatMap(([, tick]) => (tick.time >= from ? [tick] : []));
      listed.sort((one, other) => one.time - other.time || one.number - other.number);
      for (const { text } of listed) yield tickRecord(id, text);
    },
    async event(tenant, id, event) {
      const tick = find(tenant, id)?.events.get(event);
      return tick && tickRecord(id, tick.text);
    },
    async pause(scope, audited) {
      assertOpen();
      const key = pauseKey(scope);
      if (!pauses.has(textOf(key))) audit.tell(tenantOf(scope), audited);
      pauses.set(textOf(key), key);
    },
    async resume(scope, resumedAt, audited) {
      assertOpen();
      const ended = textOf(pauseKey(scope));
      if (!pauses.delete(ended)) return;
      audit.tell(tenantOf(scope), audited);
      for (const entry of entries.values()) {
        if (!pauseKeys(entry.kept).some((key) => textOf(key) === ended)) continue;
        entry.kept = { ...entry.kept, revision: entry.kept.revision + 1, resumedAt };
      }
    },
    async *pauses() {
      assertOpen();
      for (const key of [...pauses.values()]) yield pauseScope(...key);
    },
  };
  const count = (tenant: TenantId): number =>
    [...entries.values()].filter(({ kept }) => kept.tenant === tenant).length;
  return { store, count };
}

/** The oldest of the times that are kept, once there are so many. */
function oldestKept({ times }: Entry): number {
  if (times.size < KEPT_TICKS) return Number.NEGATIVE_INFINITY;
  const newestFirst = Float64Array.from(times.values(), ({ time }) => time)
    .sort()
    .reverse();
  return newestFirst[KEPT_TICKS - 1] ?? Number.NEGATIVE_INFINITY;
}
