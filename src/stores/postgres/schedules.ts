import type {
  Addition,
  NewJob,
  ScheduleId,
  ScheduleRecord,
  ScheduleStore,
  TenantId,
} from '../../core/contracts/index.ts';
import { KEPT_TICKS } from '../../core/kept-ticks.ts';
import { number, type Row, scheduleKeyOf, scheduleOf, text } from '../rows.ts';
import {
  keepSchedule,
  keepTick,
  pauseKey,
  pauseScope,
  scheduleExists,
  tickExists,
  tickRecord,
} from '../schedule-records.ts';
import { tenantOf } from '../audit.ts';
import { tell } from './audit.ts';
import type { Database, Queries } from './database.ts';
import { withinQuota } from './quotas.ts';

const PAGE = 100;

const pausedBy = (kind: string, tenant: string, name: string): string =>
  `EXISTS (SELECT 1 FROM @schedule_pauses AS held
     WHERE held.kind = '${kind}' AND held.tenant = ${tenant} AND held.name = ${name}) AS by_${kind}`;
const SELECT = `SELECT one.*, ${pausedBy('site', "''", 'one.site')}, ${pausedBy('plan', 'one.tenant', 'one.plan')},
  ${pausedBy('schedule', 'one.tenant', 'one.id')} FROM @schedules AS one`;
const ONE = `${SELECT} WHERE tenant = $1 AND id = $2`;
// The oldest of the times that are kept, once there are so many.
const OLDEST = `SELECT time FROM @schedule_ticks WHERE tenant = $1 AND schedule = $2 AND event IS NULL
  ORDER BY time DESC LIMIT 1 OFFSET ${KEPT_TICKS - 1}`;
const IN_SCOPE = {
  site: "'' = $2 AND site = $3",
  plan: 'tenant = $2 AND plan = $3',
  schedule: 'tenant = $2 AND id = $3',
};

/** How a job is added inside the transaction of its caller. */
export interface Adding {
  /** Called before the transaction. */
  open(): Promise<void>;
  /** Adds the job, unless it is there, wakes workers, and then tells of it: nothing may come after that. */
  add(queries: Queries, job: NewJob, addition: Addition): Promise<unknown>;
}

/** The schedules of a PostgreSQL job store. */
export function postgresSchedules(database: Database, { open, add }: Adding): ScheduleStore {
  const find = async (
    queries: Queries,
    tenant: TenantId,
    id: ScheduleId,
    lock = '',
  ): Promise<ScheduleRecord | undefined> => {
    const [row] = await queries.all(ONE + lock, tenant, id);
    return row && scheduleOf(row);
  };

  return {
    async create(schedule, { quota, audit } = {}) {
      const { asked, ...kept } = keepSchedule(schedule);
      return database.transaction(async (queries) => {
        const [added] = await queries.all(
          `INSERT INTO @schedules
             (tenant, id, plan, site, asked, next, wake_at, revision, last_job, resumed_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, 0, NULL, 0) ON CONFLICT DO NOTHING RETURNING id`,
          kept.tenant,
          kept.id,
          kept.plan,
          kept.site,
          asked,
          kept.next,
          kept.wakeAt,
        );
        const record = added && (await find(queries, kept.tenant, kept.id));
        if (record === undefined) throw scheduleExists(schedule);
        await withinQuota(queries, schedule, { schedules: 1 }, quota);
        await tell(queries, kept.tenant, audit);
        return record;
      });
    },
    async get(tenant, id) {
      return find(database, tenant, id);
    },
    async *list(tenant) {
      let after = '';
      let page: readonly Row[];
      do {
        page = await database.all(
          `${SELECT} WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3`,
          tenant,
          after,
          PAGE,
        );
        for (const row of page) {
          after = text(row, 'id');
          yield scheduleOf(row);
        }
      } while (page.length === PAGE);
    },
    async remove(tenant, id, entry) {
      await database.transaction(async (queries) => {
        const [removed] = await queries.all(
          'DELETE FROM @schedules WHERE tenant = $1 AND id = $2 RETURNING id',
          tenant,
          id,
        );
        await queries.all('DELETE FROM @schedule_ticks WHERE tenant = $1 AND schedule = $2', tenant, id);
        await queries.all(
          `DELETE FROM @schedule_pauses WHERE kind = 'schedule' AND tenant = $1 AND name = $2`,
          tenant,
          id,
        );
        if (removed !== undefined) await tell(queries, tenant, entry);
      });
    },
    async earliest(limit) {
      const woken = await database.all(
        'SELECT tenant, id, wake_at FROM @schedules WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT $1',
        limit,
      );
      return woken.map((row) => ({ ...scheduleKeyOf(row), wakeAt: number(row, 'wake_at') }));
    },
    async advance(schedule, { to, ticks, job, missed = [], ...addition }) {
      const { tenant, id, revision } = schedule;
      await open();
      return database.transaction(async (queries) => {
        const found = await find(queries, tenant, id, ' FOR NO KEY UPDATE OF one');
        if (found?.revision !== revision || (job !== undefined && found.pausedBy.length > 0)) return false;
        const [oldest] = await queries.all(OLDEST, tenant, id);
        const known = oldest === undefined ? Number.NEGATIVE_INFINITY : number(oldest, 'time');
        for (const tick of ticks) {
          if (tick.event === undefined && tick.time < known) throw tickExists(schedule, tick);
          const [added] = await queries.all(
            `INSERT INTO @schedule_ticks (tenant, schedule, time, event, tick)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING number`,
            tenant,
            id,
            tick.time,
            tick.event ?? null,
            keepTick(schedule, tick),
          );
          if (added === undefined) throw tickExists(schedule, tick);
        }
        await queries.all(
          `DELETE FROM @schedule_ticks
           WHERE tenant = $1 AND schedule = $2 AND event IS NULL AND time < (${OLDEST})`,
          tenant,
          id,
        );
        await queries.all(
          `UPDATE @schedules SET next = $3, wake_at = $4, revision = revision + 1, last_job = $5
           WHERE tenant = $1 AND id = $2`,
          tenant,
          id,
          to.next,
          to.wakeAt,
          job?.id ?? found.lastJob,
        );
        if (job !== undefined) await add(queries, job, addition);
        for (const one of missed) await tell(queries, tenant, one);
        return true;
      });
    },
    async *ticks(tenant, id, { from = Number.MIN_SAFE_INTEGER }) {
      let after = [from, 0];
      let page: readonly Row[];
      do {
        page = await database.all(
          `SELECT number::double precision AS number, time, tick FROM @schedule_ticks
           WHERE tenant = $1 AND schedule = $2 AND (time, number) > ($3, $4) ORDER BY time, number LIMIT $5`,
          tenant,
          id,
          ...after,
          PAGE,
        );
        for (const row of page) {
          after = [number(row, 'time'), number(row, 'number')];
          yield tickRecord(id, text(row, 'tick'));
        }
      } while (page.length === PAGE);
    },
    async event(tenant, id, event) {
      const [row] = await database.all(
        'SELECT tick FROM @schedule_ticks WHERE tenant = $1 AND schedule = $2 AND event = $3',
        tenant,
        id,
        event,
      );
      return row && tickRecord(id, text(row, 'tick'));
    },
    async pause(scope, entry) {
      await database.transaction(async (queries) => {
        const [added] = await queries.all(
          `INSERT INTO @schedule_pauses (kind, tenant, name) VALUES ($1, $2, $3)
           ON CONFLICT DO NOTHING RETURNING name`,
          ...pauseKey(scope),
        );
        if (added !== undefined) await tell(queries, tenantOf(scope), entry);
      });
    },
    async resume(scope, resumedAt, entry) {
      const [kind, tenant, name] = pauseKey(scope);
      await database.transaction(async (queries) => {
        const [ended] = await queries.all(
          'DELETE FROM @schedule_pauses WHERE kind = $1 AND tenant = $2 AND name = $3 RETURNING name',
          kind,
          tenant,
          name,
        );
        if (ended === undefined) return;
        await queries.all(
          `UPDATE @schedules SET revision = revision + 1, resumed_at = $1 WHERE ${IN_SCOPE[kind]}`,
          resumedAt,
          tenant,
          name,
        );
        await tell(queries, tenantOf(scope), entry);
      });
    },
    async *pauses() {
      const rows = await database.all('SELECT kind, tenant, name FROM @schedule_pauses');
      for (const row of rows) yield pauseScope(text(row, 'kind'), text(row, 'tenant'), text(row, 'name'));
    },
  };
}
