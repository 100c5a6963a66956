import { createHash } from 'node:crypto';
import type { JobRecord } from '../contracts/index.ts';

function digest(job: Pick<JobRecord, 'tenant' | 'id'>, step: string): string {
  return createHash('sha256')
    .update(JSON.stringify([job.tenant, job.id, step]))
    .digest('hex');
}

/** Names the effect of a step where the name itself must tell whose it is: 44 characters of a-z 0-9 and -. */
export const effectName = (job: Pick<JobRecord, 'tenant' | 'id'>, step: string): string =>
  `faf-${digest(job, step).slice(0, 40)}`;

/** Names the effect of a step inside something else: 32 characters of a-f 0-9. */
export const effectToken = (job: Pick<JobRecord, 'tenant' | 'id'>, step: string): string =>
  digest(job, step).slice(0, 32);
