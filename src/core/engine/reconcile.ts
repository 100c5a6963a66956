import type { CallOptions, ErrorRecord, JobId, TenantId } from '../contracts/index.ts';
import { errorRecord } from '../errors.ts';
import type { SessionServices } from './session-services.ts';

/** What was found for one job that had ended. */
export type ReconciledJob = {
  /** Whose job. */
  readonly tenant: TenantId;
  /** The job. */
  readonly job: JobId;
  /** What was found and removed, for people. */
  readonly removed: readonly string[];
  /** Why the job's effects could not all be looked at; try again later. */
  readonly error?: ErrorRecord;
};

/**
 * Looks for what jobs left behind that have ended: a request that was on its way when its worker died or was cut off
 * may have arrived after the job was undone. Removes only what a journaled intent of such a job names and no
 * checkpoint counts on. Resolves with the jobs for which there was something to tell.
 */
export async function reconcileJobs(
  { store, runner }: Pick<SessionServices, 'store' | 'runner'>,
  tenant: TenantId,
  call: CallOptions,
): Promise<readonly ReconciledJob[]> {
  runner.assertOpen();
  const found: ReconciledJob[] = [];
  for await (const job of store.list(tenant, {})) {
    call.signal.throwIfAborted();
    const of = { tenant, job: job.id };
    try {
      const removed = await runner.removeLate(job, call);
      if (removed.length > 0) found.push({ ...of, removed });
    } catch (error) {
      call.signal.throwIfAborted();
      found.push({ ...of, removed: [], error: errorRecord(error) });
    }
  }
  return found;
}
