import type { Holdings, JobRecord, Quota, QuotaStore, TenantId } from '../../core/contracts/index.ts';
import { type Asked, assertWithin, holdingsOf, holdingsQuery } from '../quotas.ts';
import { damaged } from '../records.ts';
import { assertClaimed } from './claims.ts';
import type { Database, Queries } from './database.ts';

const HOLDINGS = holdingsQuery(
  (name) => `@${name}`,
  '$1',
  (sum) => `(${sum})::double precision`,
);
// Of those that add at the same time, each sees what the one before it has added. A collision of digests only delays.
const ONE_AT_A_TIME = `SELECT pg_advisory_xact_lock(hashtextextended($1, '@quota_totals'::regclass::oid::bigint))`;
const KEEP = `INSERT INTO @quota_reservations (tenant, job, checkpoints, protected, stored) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT DO NOTHING RETURNING job`;

/** The quotas of a PostgreSQL job store. What jobs add when they end, a trigger adds; see the migrations. */
export function postgresQuotas(database: Database): QuotaStore {
  return {
    holdings: (tenant) => holdings(database, tenant),
    async reserve(claim, reservation, quota) {
      const { checkpoints, protected: size, stored } = reservation;
      const { tenant, id } = claim.job;
      await database.transaction(async (queries) => {
        await assertClaimed(queries, claim);
        const [kept] = await queries.all(KEEP, tenant, id, checkpoints, size, stored);
        if (kept !== undefined) await withinQuota(queries, claim.job, reservation, quota);
      });
    },
  };
}

/** Rejects what has just been added and is more than the tenant may have. Called inside the transaction that added it. */
export async function withinQuota(
  queries: Queries,
  { tenant }: Pick<JobRecord, 'tenant'>,
  added: Asked,
  quota: Quota | undefined,
): Promise<void> {
  if (quota === undefined) return;
  await queries.all(ONE_AT_A_TIME, tenant);
  assertWithin(tenant, await holdings(queries, tenant), added, quota);
}

async function holdings(queries: Queries, tenant: TenantId): Promise<Holdings> {
  const [row] = await queries.all(HOLDINGS, tenant);
  if (row === undefined) throw damaged('what a tenant has');
  return holdingsOf(row);
}
