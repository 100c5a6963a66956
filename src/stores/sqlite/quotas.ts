import type { JobRecord, Quota, QuotaStore, Reservation, TenantId } from '../../core/contracts/index.ts';
import { type Asked, assertWithin, holdingsOf, holdingsQuery } from '../quotas.ts';
import { damaged } from '../records.ts';
import { assertClaimed } from './claims.ts';
import type { Database } from './database.ts';

const HOLDINGS = holdingsQuery(
  (name) => (name === 'jobs' ? 'jobs INDEXED BY jobs_open' : name),
  '?1',
  (sum) => sum,
);

/** The quotas of a SQLite job store. What jobs add when they end, triggers add; see the migrations. */
export function sqliteQuotas(database: Database): QuotaStore {
  return {
    async holdings(tenant) {
      return holdings(database, tenant);
    },
    async reserve(claim, reservation, quota) {
      database.transaction(() => {
        assertClaimed(database, claim);
        if (keep(database, claim.job, reservation)) withinQuota(database, claim.job, reservation, quota);
      });
    },
  };
}

/** Rejects what has just been added and is more than the tenant may have. Called inside the transaction that added it. */
export function withinQuota(
  database: Database,
  { tenant }: Pick<JobRecord, 'tenant'>,
  added: Asked,
  quota: Quota | undefined,
): void {
  if (quota !== undefined) assertWithin(tenant, holdings(database, tenant), added, quota);
}

function holdings(database: Database, tenant: TenantId): ReturnType<typeof holdingsOf> {
  const [row] = database.all(HOLDINGS, tenant);
  if (row === undefined) throw damaged('what a tenant has');
  return holdingsOf(row);
}

const keep = (
  database: Database,
  { tenant, id }: JobRecord,
  { checkpoints, protected: size, stored }: Reservation,
): boolean =>
  database.run(
    `INSERT INTO quota_reservations (tenant, job, checkpoints, protected, stored) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
    tenant,
    id,
    checkpoints,
    size,
    stored,
  ) === 1;
