import type {
  AuditEntry,
  NewJob,
  ScheduleId,
  ScheduleRecord,
  ScheduleStore,
  ScheduleTick,
  TenantId,
} from '../../core/contracts/index.ts';
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

type KeptTick = Pick<ScheduleTick, 'time' | 'event'> & { readonly text: string };
type Entry = { kept: KeptSchedule; readonly ticks: KeptTick[] };

/** What the schedules of a memory store need of its jobs. */
export interface ScheduledJobs {
  /** Rejects a call of a closed store. */
  assertOpen(): void;
  /** Adds a job as `enqueue` does. */
  add(job: NewJob, entry: AuditEntry | undefined): void;
  /** The chains. */
  readonly audit: MemoryAudit;
}

const textOf = (key: PauseKey): string => JSON.stringify(key);

/** The schedules of a memory store. */
export function memorySchedules({ assertOpen, add, audit }: ScheduledJobs): ScheduleStore {
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

  return {
    async create(schedule, audited) {
      if (find(schedule.tenant, schedule.id) !== undefined) throw scheduleExists(schedule);
      const entry: Entry = { kept: keepSchedule(schedule), ticks: [] };
      entries.set(keyOf(schedule.tenant, schedule.id), entry);
      audit.tell(schedule.tenant, audited);
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
    async advance(schedule, { to, ticks, job, audit: audited }) {
      const entry = find(schedule.tenant, schedule.id);
      if (entry === undefined || entry.kept.revision !== schedule.revision) return false;
      if (job !== undefined && pausesOf(entry.kept).length > 0) return false;
      const known = [...entry.ticks];
      for (const tick of ticks) {
        if (known.some((other) => isSame(other, tick))) throw tickExists(schedule, tick);
        const { time, event } = tick;
        known.push({ time, ...(event !== undefined && { event }), text: keepTick(schedule, tick) });
      }
      if (job !== undefined) add(job, audited);
      const { revision, lastJob } = entry.kept;
      const { next, wakeAt } = to;
      entry.kept = { ...entry.kept, next, wakeAt, revision: revision + 1, lastJob: job?.id ?? lastJob };
      entry.ticks.splice(0, entry.ticks.length, ...known);
      return true;
    },
    async *ticks(tenant, id, { from = Number.NEGATIVE_INFINITY }) {
      const listed = find(tenant, id)?.ticks.filter(({ time }) => time >= from) ?? [];
      for (const { text } of listed.sort((one, other) => one.time - other.time)) yield tickRecord(id, text);
    },
    async event(tenant, id, event) {
      const tick = find(tenant, id)?.ticks.find((other) => other.event === event);
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
}

const isSame = (one: Pick<ScheduleTick, 'time' | 'event'>, other: ScheduleTick): boolean =>
  one.event === other.event && (one.event !== undefined || one.time === other.time);
