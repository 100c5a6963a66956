import type { CallOptions, JobRecord, JobStore } from '../contracts/index.ts';
import type { Operation } from './operation.ts';

/**
 * Removes what arrived after a job had ended: a request that was on its way when its worker was stopped, or was no
 * longer waited for. Nothing is removed but what a journaled intent of the job names. Resolves with what was found.
 */
export async function removeLateEffects(
  of: { readonly store: JobStore; readonly operations: ReadonlyMap<string, Operation> },
  job: JobRecord,
  call: CallOptions,
): Promise<readonly string[]> {
  const operation = of.operations.get(job.operation);
  if (job.outcome === undefined || operation === undefined) return [];
  const rows = await of.store.journal(job.tenant, job.id);
  const intents = rows.flatMap(({ kind, step }) => (kind === 'intent' ? [step] : []));
  return operation.removeLate(job, intents, call);
}
