import type { JobClaim, JobId, TenantId } from '../../core/contracts/index.ts';
import { fenced } from '../records.ts';
import type { Queries } from './database.ts';

/** Where the job is one that this claim may write to; {@link claimKey} has the values, which are the first ones. */
export const CLAIMED = `tenant = $1 AND id = $2 AND epoch = $3 AND state = 'running'`;

/** The values of {@link CLAIMED}. */
export function claimKey({ job }: JobClaim): [TenantId, JobId, number] {
  return [job.tenant, job.id, job.epoch];
}

/**
 * The job of a claim, if that may write, and nobody else may claim or end it before the transaction is over. Without this lock
 * a former worker's rows could arrive after its heir has read the journal.
 */
export const LOCK_CLAIMED: string = `SELECT tenant, id FROM @jobs WHERE ${CLAIMED} FOR NO KEY UPDATE`;

/** Rejects a claim that may not write any more, and keeps one that may until the transaction of the caller is over. */
export async function assertClaimed(queries: Queries, claim: JobClaim): Promise<void> {
  const [row] = await queries.all(LOCK_CLAIMED, ...claimKey(claim));
  if (row === undefined) throw fenced(claim);
}
