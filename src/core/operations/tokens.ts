import { createHash } from 'node:crypto';
import type { JobRecord } from '../contracts/index.ts';

function digest(job: Pick<JobRecord, 'tenant' | 'id'>, step: string): string {
  return createHash('sha256')
    .update(JSON.stringify([job.tenant, job.id, step]))
    .digest('hex');
}

/** What the names of all effects begin with, whoever made them. */
export const NAME_PREFIX = 'faf-';

const NAME = /^faf-([a-f0-9]{12})-[a-f0-9]{27}$/;

/** Names the effect of a step where the name itself must tell whose it is: 44 characters of a-z 0-9 and -. */
export const effectName = (
  installation: string,
  job: Pick<JobRecord, 'tenant' | 'id'>,
  step: string,
): string => `${NAME_PREFIX}${installation}-${digest(job, step).slice(0, 27)}`;

/** The installation that a name of an effect tells of; null where it is not such a name. */
export const installationIn = (name: string): string | null => NAME.exec(name)?.[1] ?? null;

/** Names the effect of a step inside something else: 32 characters of a-f 0-9. */
export const effectToken = (job: Pick<JobRecord, 'tenant' | 'id'>, step: string): string =>
  digest(job, step).slice(0, 32);
