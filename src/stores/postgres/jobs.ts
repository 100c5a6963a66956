import type {
  Addition,
  AuditEntry,
  Dispatcher,
  JobClaim,
  JobId,
  JobRecord,
  JobStore,
  NewJob,
  Quota,
  TenantId,
} from '../../core/contracts/index.ts';
import { isInstallation, newInstallation } from '../../core/identity.ts';
import { damaged, fenced, jobExists, jobRecord, keepJob, keepOutcome } from '../records.ts';
import { flag, jobOf, type Row, text } from '../rows.ts';
import { keepUsage } from '../usage.ts';
import { postgresAudit, tell } from './audit.ts';
import { assertClaimed, CLAIMED, claimKey } from './claims.ts';
import type { Database, Queries } from './database.ts';
import { postgresJournals } from './journals.ts';
import { occupyPlaces } from './places.ts';
import { postgresNotifications } from './notifications.ts';
import { postgresPlans } from './plans.ts';
import { postgresQuotas, withinQuota } from './quotas.ts';
import { acquireLeases } from './resource-leases.ts';
import { postgresSchedules } from './schedules.ts';
import { postgresTemplates } from './templates.ts';
import { postgresUsage } from './usage.ts';

const PAGE = 100;
const ADD = `INSERT INTO @jobs (id, tenant, actor, operation, operation_version, input, created_at, parent,
    template, state, epoch, lease_until, not_before, cancel_requested)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', 0, 0, 0, false) ON CONFLICT (id) DO NOTHING RETURNING id`;
const FREE = `outcome IS NULL
  AND (state = 'queued' AND not_before <= $1 OR state = 'running' AND lease_until < $1)`;
const CLAIM = `UPDATE @jobs SET state = 'running', epoch = epoch + 1,
  started_at = coalesce(started_at, $1), lease_until = $2, not_before = 0`;
// What another worker is about to take is passed over, so that nobody waits for it to be gone.
const CLAIM_FIRST = `WITH first AS MATERIALIZED
    (SELECT id FROM @jobs WHERE ${FREE} AND (parent IS NULL OR parent <> ALL ($3))
      ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
  ${CLAIM} WHERE id = (SELECT id FROM first) RETURNING *`;
const CLAIM_ONE = `${CLAIM} WHERE ${FREE} AND id = $3 RETURNING *`;
const HAD_PLACES = `EXISTS (SELECT 1 FROM @job_places AS place
  WHERE place.job = @jobs.id AND place.epoch = @jobs.epoch) AS had_places`;
const FIND_INSTALLATION = 'SELECT id FROM @installation';

/** A job store on tables that are there, or will be at the first call; the dispatcher gives its hints. */
export function jobStoreOn(database: Database, dispatcher: Dispatcher): JobStore {
  const hint = (queries: Queries, job: JobId): Promise<void> =>
    dispatcher.notify(job, { query: async (sql, values) => ({ rows: await queries.all(sql, ...values) }) });

  // What is told is told last: see there.
  async function add(queries: Queries, job: NewJob, { quota, audit }: Addition = {}): Promise<JobRecord> {
    const { record, isNew } = await addJob(queries, job, quota);
    if (isNew) {
      await hint(queries, job.id);
      await tell(queries, job.tenant, audit);
    }
    return record;
  }

  // What it holds a trigger gives back; see the migrations.
  async function putDown(
    claim: JobClaim,
    entry: AuditEntry | undefined,
    sql: string,
    ...values: unknown[]
  ): Promise<void> {
    const { tenant, id } = claim.job;
    const update = async (queries: Queries): Promise<boolean> => {
      const [row] = await queries.all(
        `UPDATE @jobs SET ${sql} WHERE ${CLAIMED} RETURNING ${HAD_PLACES}`,
        ...claimKey(claim),
        ...values,
      );
      if (row === undefined) throw fenced(claim);
      return flag(row, 'had_places');
    };
    const both = async (queries: Queries): Promise<boolean> => {
      const hadPlaces = await update(queries);
      await tell(queries, tenant, entry);
      return hadPlaces;
    };
    // One statement is a transaction by itself.
    const hadPlaces = await (entry === undefined ? update(database) : database.transaction(both));
    // Somebody may wait for them. A hint that is lost only delays; that the job is put down is so all the same.
    if (hadPlaces) await database.transaction((queries) => hint(queries, id)).catch(() => undefined);
  }

  return {
    contract: 1,
    ...postgresJournals(database),
    plans: postgresPlans(database),
    quotas: postgresQuotas(database),
    templates: postgresTemplates(database),
    schedules: postgresSchedules(database, {
      open: () => dispatcher.open(),
      add,
    }),
    audit: postgresAudit(database),
    notifications: postgresNotifications(database),
    async installation() {
      let [row] = await database.all(FIND_INSTALLATION);
      if (row === undefined) {
        // Of several processes that ask first, one draws it and the others find it.
        await database.all(
          'INSERT INTO @installation (id) VALUES ($1) ON CONFLICT DO NOTHING',
          newInstallation(),
        );
        [row] = await database.all(FIND_INSTALLATION);
      }
      const id = row && text(row, 'id');
      if (id !== undefined && isInstallation(id)) return id;
      throw damaged('the id of the installation');
    },
    async enqueue(job, parent, addition) {
      await dispatcher.open();
      return database.transaction(async (queries) => {
        if (parent !== undefined) await assertClaimed(queries, parent);
        return add(queries, job, addition);
      });
    },
    async claim({ now, leaseUntil, job, except = [] }) {
      const [row] =
        job === undefined
          ? await database.all(CLAIM_FIRST, now, leaseUntil, except)
          : await database.all(CLAIM_ONE, now, leaseUntil, job);
      // Read after the commit: a damaged job stays claimed, and does not keep others from being claimed.
      return row && { job: jobOf(row) };
    },
    async heartbeat(claim, leaseUntil) {
      const [row] = await database.all(
        `UPDATE @jobs SET lease_until = $4 WHERE ${CLAIMED} RETURNING cancel_requested`,
        ...claimKey(claim),
        leaseUntil,
      );
      if (row === undefined) throw fenced(claim);
      return { cancelRequested: flag(row, 'cancel_requested') };
    },
    async acquire(claim, leases) {
      return database.transaction(async (queries) => {
        await assertClaimed(queries, claim);
        return await acquireLeases(queries, claim.job, leases);
      });
    },
    async occupy(claim, places, now) {
      // For the hint when they are given back.
      await dispatcher.open();
      return occupyPlaces(database, claim, places, now);
    },
    async postpone(claim, until) {
      await putDown(claim, undefined, `state = 'queued', not_before = $4`, until);
    },
    async finish(claim, outcome, end) {
      const values = [outcome.state, keepOutcome(claim, outcome), end.at, keepUsage(claim.job, end)];
      await putDown(claim, end.audit, 'state = $4, outcome = $5, ended_at = $6, usage = $7', ...values);
    },
    usage: (tenant, filter) => postgresUsage(database, tenant, filter),
    async requestCancel(tenant, job, entry) {
      await dispatcher.open();
      return database.transaction(async (queries) => {
        const [open] = await queries.all(
          `SELECT cancel_requested FROM @jobs
           WHERE tenant = $1 AND id = $2 AND outcome IS NULL FOR NO KEY UPDATE`,
          tenant,
          job,
        );
        if (open === undefined) return false;
        await queries.all('UPDATE @jobs SET cancel_requested = true, not_before = 0 WHERE id = $1', job);
        await hint(queries, job);
        if (!flag(open, 'cancel_requested')) await tell(queries, tenant, entry);
        return true;
      });
    },
    async get(tenant, job) {
      return find(database, tenant, job);
    },
    async *list(tenant, { state }) {
      let after = '';
      let page: readonly Row[];
      do {
        page =
          state === undefined
            ? await database.all(
                'SELECT * FROM @jobs WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3',
                tenant,
                after,
                PAGE,
              )
            : await database.all(
                'SELECT * FROM @jobs WHERE tenant = $1 AND id > $2 AND state = $4 ORDER BY id LIMIT $3',
                tenant,
                after,
                PAGE,
                state,
              );
        for (const row of page) {
          const job = jobOf(row);
          after = job.id;
          yield job;
        }
      } while (page.length === PAGE);
    },
    async *tenants() {
      const next = 'SELECT tenant FROM @jobs WHERE tenant > $1 ORDER BY tenant LIMIT 1';
      for (
        let [row] = await database.all(next, '');
        row !== undefined;
        [row] = await database.all(next, text(row, 'tenant'))
      ) {
        yield text(row, 'tenant') as TenantId;
      }
    },
    close: () => database.close(),
    [Symbol.asyncDispose]: () => database.close(),
  };
}

async function addJob(
  queries: Queries,
  job: NewJob,
  quota: Quota | undefined,
): Promise<{ readonly record: JobRecord; readonly isNew: boolean }> {
  const kept = keepJob(job);
  const [added] = await queries.all(
    ADD,
    kept.id,
    kept.tenant,
    kept.actor,
    kept.operation,
    kept.operationVersion,
    kept.input,
    kept.createdAt,
    kept.parent ?? null,
    kept.template,
  );
  if (added !== undefined) {
    await withinQuota(queries, job, { jobs: 1 }, quota);
    return { record: jobRecord(kept), isNew: true };
  }
  const known = await find(queries, job.tenant, job.id);
  if (known === undefined) throw jobExists(job);
  return { record: known, isNew: false };
}

async function find(queries: Queries, tenant: TenantId, job: JobId): Promise<JobRecord | undefined> {
  const [row] = await queries.all('SELECT * FROM @jobs WHERE tenant = $1 AND id = $2', tenant, job);
  return row && jobOf(row);
}
