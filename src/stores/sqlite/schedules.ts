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
import type { Database } from './database.ts';
import { withinQuota } from './quotas.ts';

const PAGE = 100;

const pausedBy = (kind: string, tenant: string, name: string): string =>
  `EXISTS (SELECT 1 FROM schedule_pauses AS held
     WHERE held.kind = '${kind}' AND held.tenant = ${tenant} AND held.name = ${name}) AS by_${kind}`;
const SELECT = `SELECT schedules.*, ${pausedBy('site', "''", 'schedules.site')},
  ${pausedBy('plan', 'schedules.tenant', 'schedules.plan')},
  ${pausedBy('schedule', 'schedules.tenant', 'schedules.id')} FROM schedules`;
const ONE = `${SELECT} WHERE tenant = ? AND id = ?`;
// The oldest of the times that are kept, once there are so many.
const OLDEST = `SELECT time FROM schedule_ticks WHERE tenant = ? AND schedule = ? AND event IS NULL
  ORDER BY time DESC LIMIT 1 OFFSET ${KEPT_TICKS - 1}`;
const IN_SCOPE = {
  site: "'' = ? AND site = ?",
  plan: 'tenant = ? AND plan = ?',
  schedule: 'tenant = ? AND id = ?',
};

/** The schedules of a SQLite job store; `add` adds a job inside the transaction of its caller. */
export function sqliteSchedules(
  database: Database,
  add: (job: NewJob, addition: Addition) => void,
): ScheduleStore {
  const find = (tenant: TenantId, id: ScheduleId): ScheduleRecord | undefined => {
    const [row] = database.all(ONE, tenant, id);
    return row && scheduleOf(row);
  };

  return {
    async create(schedule, { quota, audit } = {}) {
      const { asked, ...kept } = keepSchedule(schedule);
      return database.transaction(() => {
        const added = database.run(
          `INSERT INTO schedules
             (tenant, id, plan, site, asked, next, wake_at, revision, last_job, resumed_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, 0, NULL, 0) ON CONFLICT DO NOTHING`,
          kept.tenant,
          kept.id,
          kept.plan,
          kept.site,
          asked,
          kept.next,
          kept.wakeAt,
        );
        const record = find(kept.tenant, kept.id);
        if (added === 0 || record === undefined) throw scheduleExists(schedule);
        withinQuota(database, schedule, { schedules: 1 }, quota);
        tell(database, kept.tenant, audit);
        return record;
      });
    },
    async get(tenant, id) {
      return find(tenant, id);
    },
    async *list(tenant) {
      let after = '';
      let page: readonly Row[];
      do {
        page = database.all(`${SELECT} WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?`, tenant, after, PAGE);
        for (const row of page) {
          after = text(row, 'id');
          yield scheduleOf(row);
        }
      } while (page.length === PAGE);
    },
    async remove(tenant, id, entry) {
      database.transaction(() => {
        const removed = database.run('DELETE FROM schedules WHERE tenant = ? AND id = ?', tenant, id);
        database.run('DELETE FROM schedule_ticks WHERE tenant = ? AND schedule = ?', tenant, id);
        database.run(
          `DELETE FROM schedule_pauses WHERE kind = 'schedule' AND tenant = ? AND name = ?`,
          tenant,
          id,
        );
        if (removed === 1) tell(database, tenant, entry);
      });
    },
    async earliest(limit) {
      const woken =
        'SELECT tenant, id, wake_at FROM schedules WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT ?';
      return database
        .all(woken, limit)
        .map((row) => ({ ...scheduleKeyOf(row), wakeAt: number(row, 'wake_at') }));
    },
    async advance(schedule, { to, ticks, job, missed = [], ...addition }) {
      const { tenant, id, revision } = schedule;
      return database.transaction(() => {
        const found = find(tenant, id);
        if (found?.revision !== revision || (job !== undefined && found.pausedBy.length > 0)) return false;
        const [oldest] = database.all(OLDEST, tenant, id);
        const known = oldest === undefined ? Number.NEGATIVE_INFINITY : number(oldest, 'time');
        for (const tick of ticks) {
          if (tick.event === undefined && tick.time < known) throw tickExists(schedule, tick);
          const added = database.run(
            `INSERT INTO schedule_ticks (tenant, schedule, time, event, tick)
             VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
            tenant,
            id,
            tick.time,
            tick.event ?? null,
            keepTick(schedule, tick),
          );
          if (added === 0) throw tickExists(schedule, tick);
        }
        database.run(
          `DELETE FROM schedule_ticks WHERE tenant = ? AND schedule = ? AND event IS NULL AND time < (${OLDEST})`,
          tenant,
          id,
          tenant,
          id,
        );
        if (job !== undefined) add(job, addition);
        database.run(
          `UPDATE schedules SET next = ?, wake_at = ?, revision = revision + 1, last_job = ?
           WHERE tenant = ? AND id = ?`,
          to.next,
          to.wakeAt,
          job?.id ?? found.lastJob,
          tenant,
          id,
        );
        for (const one of missed) tell(database, tenant, one);
        return true;
      });
    },
    async *ticks(tenant, id, { from = Number.MIN_SAFE_INTEGER }) {
      let after = [from, 0];
      let page: readonly Row[];
      do {
        page = database.all(
          `SELECT number, time, tick FROM schedule_ticks
           WHERE tenant = ? AND schedule = ? AND (time, number) > (?, ?) ORDER BY time, number LIMIT ?`,
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
      const [row] = database.all(
        'SELECT tick FROM schedule_ticks WHERE tenant = ? AND schedule = ? AND event = ?',
        tenant,
        id,
        event,
      );
      return row && tickRecord(id, text(row, 'tick'));
    },
    async pause(scope, entry) {
      database.transaction(() => {
        const added = database.run(
          'INSERT INTO schedule_pauses (kind, tenant, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
          ...pauseKey(scope),
        );
        if (added === 1) tell(database, tenantOf(scope), entry);
      });
    },
    async resume(scope, resumedAt, entry) {
      const [kind, tenant, name] = pauseKey(scope);
      database.transaction(() => {
        const ended = database.run(
          'DELETE FROM schedule_pauses WHERE kind = ? AND tenant = ? AND name = ?',
          kind,
          tenant,
          name,
        );
        if (ended === 0) return;
        database.run(
          `UPDATE schedules SET revision = revision + 1, resumed_at = ? WHERE ${IN_SCOPE[kind]}`,
          resumedAt,
          tenant,
          name,
        );
        tell(database, tenantOf(scope), entry);
      });
    },
    async *pauses() {
      const rows = database.all('SELECT kind, tenant, name FROM schedule_pauses');
      for (const row of rows) yield pauseScope(text(row, 'kind'), text(row, 'tenant'), text(row, 'name'));
    },
  };
}
