import { resolve } from 'node:path';
import * as z from 'zod';
import type {
  Addition,
  JobId,
  JobRecord,
  JobState,
  JobStore,
  NewJob,
  TenantId,
} from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { fenced, jobExists, jobRecord, keepJob, keepOutcome } from './records.ts';
import { flag, jobOf, type Row, text } from './rows.ts';
import { sqliteAudit, tell } from './sqlite/audit.ts';
import { assertClaimed, CLAIMED, claimKey } from './sqlite/claims.ts';
import { Database } from './sqlite/database.ts';
import { sqliteInstallation } from './sqlite/installation.ts';
import { sqliteJournals } from './sqlite/journals.ts';
import { occupyPlaces } from './sqlite/places.ts';
import { sqliteNotifications } from './sqlite/notifications.ts';
import { sqlitePlans } from './sqlite/plans.ts';
import { sqliteQuotas, withinQuota } from './sqlite/quotas.ts';
import { acquireLeases, releaseLeases } from './sqlite/resource-leases.ts';
import { sqliteTemplates } from './sqlite/templates.ts';
import { sqliteUsage } from './sqlite/usage.ts';
import { keepUsage } from './usage.ts';
import { sqliteSchedules } from './sqlite/schedules.ts';

const PAGE = 100;
const OPEN: readonly JobState[] = ['queued', 'running'];
// Each has an index of its own, which only the job's end changes.
const ARE_OPEN = 'INDEXED BY jobs_open WHERE outcome IS NULL';
const HAVE_ENDED = 'INDEXED BY jobs_ended WHERE outcome IS NOT NULL';
// The first condition lets SQLite use the index of open jobs.
const FREE = `outcome IS NULL
  AND (state = 'queued' AND not_before <= ? OR state = 'running' AND lease_until < ?)`;
const CLAIM = `UPDATE jobs SET state = 'running', epoch = epoch + 1, started_at = coalesce(started_at, ?),
  lease_until = ?, not_before = 0`;
const CLAIM_FIRST = `${CLAIM} WHERE number = (SELECT number FROM jobs WHERE ${FREE}
  AND (parent IS NULL OR parent NOT IN (SELECT value FROM json_each(?))) ORDER BY id LIMIT 1) RETURNING *`;
const CLAIM_ONE = `${CLAIM} WHERE ${FREE} AND id = ? RETURNING *`;
const END = `UPDATE jobs SET state = ?, outcome = ?, ended_at = ?, usage = ? WHERE ${CLAIMED}`;
const END_WITHOUT_LEASES = `${END} AND NOT EXISTS
  (SELECT 1 FROM resource_leases AS held WHERE held.tenant = jobs.tenant AND held.job = jobs.id)`;

/** Where a SQLite job store is. */
export interface SqliteStoreOptions {
  /**
   * The file; made at first use, readable by its owner only. Its directory must exist, on a local disk: what Linux
   * shows to be a network file system, or FUSE, is `UNSUPPORTED`.
   */
  readonly path: string;
}

const OPTIONS = strictOptions({ path: z.string().min(1) }) satisfies z.ZodType<SqliteStoreOptions>;

/**
 * A job store in one SQLite file, shared by any number of processes of one machine. What a call has resolved
 * survives a process crash and a power loss. Nothing is opened before the first call.
 */
export function sqliteStore(options: string | SqliteStoreOptions): JobStore {
  const given = typeof options === 'string' ? { path: options } : options;
  const { path } = parseOptions('sqliteStore', OPTIONS, given);
  const database = new Database(resolve(path));

  async function close(): Promise<void> {
    database.close();
  }

  return {
    contract: 1,
    ...sqliteJournals(database),
    plans: sqlitePlans(database),
    quotas: sqliteQuotas(database),
    templates: sqliteTemplates(database),
    schedules: sqliteSchedules(database, (job, addition) => addJob(database, job, addition)),
    audit: sqliteAudit(database),
    notifications: sqliteNotifications(database),
    async installation() {
      return sqliteInstallation(database);
    },
    async enqueue(job, parent, addition) {
      return database.transaction(() => {
        if (parent !== undefined) assertClaimed(database, parent);
        return addJob(database, job, addition);
      });
    },
    async claim({ now, leaseUntil, job, except = [] }) {
      // A single statement is a transaction.
      const [row] =
        job === undefined
          ? database.all(CLAIM_FIRST, now, leaseUntil, now, now, JSON.stringify(except))
          : database.all(CLAIM_ONE, now, leaseUntil, now, now, job);
      // Read after the commit: a damaged job stays claimed, and does not keep others from being claimed.
      return row && { job: jobOf(row) };
    },
    async heartbeat(claim, leaseUntil) {
      const [row] = database.all(
        `UPDATE jobs SET lease_until = ? WHERE ${CLAIMED} RETURNING cancel_requested`,
        leaseUntil,
        ...claimKey(claim),
      );
      if (row === undefined) throw fenced(claim);
      return { cancelRequested: flag(row, 'cancel_requested') };
    },
    async acquire(claim, leases) {
      return database.transaction(() => {
        assertClaimed(database, claim);
        return acquireLeases(database, claim.job, leases);
      });
    },
    async occupy(claim, places, now) {
      return occupyPlaces(database, claim, places, now);
    },
    async postpone(claim, until) {
      database.transaction(() => {
        const postponed = database.run(
          `UPDATE jobs SET state = 'queued', not_before = ? WHERE ${CLAIMED}`,
          until,
          ...claimKey(claim),
        );
        if (postponed === 0) throw fenced(claim);
        releaseLeases(database, claim.job);
      });
    },
    async finish(claim, outcome, end) {
      const kept = keepOutcome(claim, outcome);
      const values = [outcome.state, kept, end.at, keepUsage(claim.job, end), ...claimKey(claim)];
      // A job that holds nothing, and of which there is nothing to tell, ends in a single statement.
      if (end.audit === undefined && database.run(END_WITHOUT_LEASES, ...values) === 1) return;
      database.transaction(() => {
        if (database.run(END, ...values) === 0) throw fenced(claim);
        releaseLeases(database, claim.job);
        tell(database, claim.job.tenant, end.audit);
      });
    },
    usage: (tenant, filter) => sqliteUsage(database, tenant, filter),
    async requestCancel(tenant, job, entry) {
      return database.transaction(() => {
        const [open] = database.all(
          'SELECT cancel_requested FROM jobs WHERE tenant = ? AND id = ? AND outcome IS NULL',
          tenant,
          job,
        );
        if (open === undefined) return false;
        database.run('UPDATE jobs SET cancel_requested = 1, not_before = 0 WHERE id = ?', job);
        if (!flag(open, 'cancel_requested')) tell(database, tenant, entry);
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
            ? database.all(
                'SELECT * FROM jobs WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?',
                tenant,
                after,
                PAGE,
              )
            : database.all(
                `SELECT * FROM jobs ${OPEN.includes(state) ? ARE_OPEN : HAVE_ENDED}
                   AND tenant = ? AND state = ? AND id > ? ORDER BY id LIMIT ?`,
                tenant,
                state,
                after,
                PAGE,
              );
        for (const row of page) {
          const job = jobOf(row);
          after = job.id;
          yield job;
        }
      } while (page.length === PAGE);
    },
    async *tenants() {
      const next = 'SELECT tenant FROM jobs WHERE tenant > ? ORDER BY tenant LIMIT 1';
      for (
        let [row] = database.all(next, '');
        row !== undefined;
        [row] = database.all(next, text(row, 'tenant'))
      ) {
        yield text(row, 'tenant') as TenantId;
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function addJob(database: Database, job: NewJob, { quota, audit }: Addition = {}): JobRecord {
  const kept = keepJob(job);
  const added = database.run(
    `INSERT INTO jobs (id, tenant, actor, operation, operation_version, input, created_at, parent,
       template, state, epoch, lease_until, not_before, cancel_requested)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING`,
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
  if (added === 1) {
    withinQuota(database, job, { jobs: 1 }, quota);
    tell(database, job.tenant, audit);
    return jobRecord(kept);
  }
  const known = find(database, job.tenant, job.id);
  if (known === undefined) throw jobExists(job);
  return known;
}

function find(database: Database, tenant: TenantId, job: JobId): JobRecord | undefined {
  const [row] = database.all('SELECT * FROM jobs WHERE tenant = ? AND id = ?', tenant, job);
  return row && jobOf(row);
}
