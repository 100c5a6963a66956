import type { JobClaim, JobId, TenantId } from '../../core/contracts/index.ts';
import { fenced } from '../records.ts';
import type { Database } from './database.ts';

/** Where the job is one that this claim may write to; {@link claimKey} has the values. */
export const CLAIMED = `tenant = ? AND id = ? AND epoch = ? AND state = 'running'`;

/** The values of {@link CLAIMED}. */
export function claimKey({ job }: JobClaim): [TenantId, JobId, number] {
  return [job.tenant, job.id, job.epoch];
}

/** Rejects a claim that may not write any more. Called inside the transaction that writes. */
export function assertClaimed(database: Database, claim: JobClaim): void {
  const [row] = database.all(`SELECT 1 FROM jobs WHERE ${CLAIMED}`, ...claimKey(claim));
  if (row === undefined) throw fenced(claim);
}
