import type { JobId, JobRecord, ResourceHolder, ResourceLease } from '../../core/contracts/index.ts';
import { keepLeases, standAgainstEachOther } from '../records.ts';
import { text } from '../rows.ts';
import type { Queries } from './database.ts';

type Holder = Pick<JobRecord, 'tenant' | 'id'>;

// Of jobs that ask at the same time, each sees what the one before it has taken. A collision of digests only delays.
const ONE_AT_A_TIME = `SELECT pg_advisory_xact_lock(hashtextextended($1, '@jobs'::regclass::oid::bigint))`;
const OTHERS = `SELECT resource, job, kind, excludes FROM @resource_leases
  WHERE tenant = $1 AND resource = ANY ($2) AND job <> $3 ORDER BY job`;
const ADD = `INSERT INTO @resource_leases (tenant, job, resource, kind, excludes)
  SELECT DISTINCT $1, $2, wanted.* FROM unnest($3::text[], $4::text[], $5::text[]) AS wanted (resource, kind, excludes)
  EXCEPT SELECT tenant, job, resource, kind, excludes FROM @resource_leases WHERE tenant = $1 AND job = $2`;

/** Takes leases for a job, all or none; returns who stands against one. Called inside the transaction of the caller. */
export async function acquireLeases(
  queries: Queries,
  { tenant, id }: Holder,
  leases: readonly ResourceLease[],
): Promise<ResourceHolder | undefined> {
  await queries.all(ONE_AT_A_TIME, tenant);
  const wanted = keepLeases(leases);
  const resources = wanted.map(({ resource }) => resource);
  const others = Map.groupBy(await queries.all(OTHERS, tenant, resources, id), (row) => row.resource);
  for (const lease of wanted) {
    const { resource } = lease;
    for (const row of others.get(resource) ?? []) {
      const kind = text(row, 'kind');
      if (standAgainstEachOther(lease, { resource, kind, excludes: text(row, 'excludes') })) {
        return { resource, job: text(row, 'job') as JobId, kind };
      }
    }
  }
  const [kinds, excluded] = [wanted.map(({ kind }) => kind), wanted.map(({ excludes }) => excludes)];
  await queries.all(ADD, tenant, id, resources, kinds, excluded);
  return undefined;
}
