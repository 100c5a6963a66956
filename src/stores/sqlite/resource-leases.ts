import type { JobId, JobRecord, ResourceHolder, ResourceLease } from '../../core/contracts/index.ts';
import { keepLeases, standAgainstEachOther } from '../records.ts';
import { text } from '../rows.ts';
import type { Database } from './database.ts';

type Holder = Pick<JobRecord, 'tenant' | 'id'>;

/** Takes leases for a job, all or none; returns who stands against one. Called inside the transaction of the caller. */
export function acquireLeases(
  database: Database,
  { tenant, id }: Holder,
  leases: readonly ResourceLease[],
): ResourceHolder | undefined {
  const wanted = keepLeases(leases);
  for (const lease of wanted) {
    const { resource } = lease;
    const others = database.all(
      'SELECT job, kind, excludes FROM resource_leases WHERE tenant = ? AND resource = ? AND job <> ?',
      tenant,
      resource,
      id,
    );
    for (const row of others) {
      const kind = text(row, 'kind');
      if (standAgainstEachOther(lease, { resource, kind, excludes: text(row, 'excludes') })) {
        return { resource, job: text(row, 'job') as JobId, kind };
      }
    }
  }
  for (const { resource, kind, excludes } of wanted) {
    database.run(
      `INSERT INTO resource_leases (tenant, resource, job, kind, excludes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      tenant,
      resource,
      id,
      kind,
      excludes,
    );
  }
  return undefined;
}

/** Gives back all leases of a job. Called inside the transaction that puts the job down. */
export function releaseLeases(database: Database, { tenant, id }: Holder): void {
  database.run('DELETE FROM resource_leases WHERE tenant = ? AND job = ?', tenant, id);
}
