import type { JobClaim, JobStore } from '../../src/index.ts';

/** A store that writes for whoever comes, as if the epoch of a claim were not compared with the job's. */
export function unfenced(store: JobStore): JobStore {
  const renewed = async ({ job }: JobClaim): Promise<JobClaim> => {
    const now = await store.get(job.tenant, job.id);
    return { job: { ...job, epoch: now?.epoch ?? job.epoch } };
  };
  return {
    ...store,
    heartbeat: async (claim, leaseUntil) => store.heartbeat(await renewed(claim), leaseUntil),
    append: async (claim, rows, audit) => store.append(await renewed(claim), rows, audit),
    acquire: async (claim, leases) => store.acquire(await renewed(claim), leases),
    postpone: async (claim, until) => store.postpone(await renewed(claim), until),
    finish: async (claim, outcome, end) => store.finish(await renewed(claim), outcome, end),
  };
}
