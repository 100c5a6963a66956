import type { Vault } from '../archive/vault.ts';
import type { CallOptions } from '../contracts/index.ts';
import type { OperationContext } from '../jobs/operation.ts';
import type { OperationServices } from './services.ts';

type Jobs = OperationServices['jobs'];

/**
 * Bytes that a tenant has in a bank beyond what its ended jobs and this one counted; negative where it has less. Null where
 * another job has begun and not ended, or ended meanwhile: what it counted is not in the records, or was not in the listing.
 */
export async function uncounted(
  context: OperationContext,
  { jobs }: { readonly jobs: Jobs },
  vault: Vault,
): Promise<number | null> {
  const call = { signal: context.signal };
  const before = await recorded(context, jobs, vault.bank.name);
  if (before === null) return null;
  // Of what was stored and removed just now, too.
  await context.clock.sleep(vault.bank.capabilities.listingDelay, call);
  const listed = await context.retry((call) => bytesIn(vault, call));
  const after = await recorded(context, jobs, vault.bank.name);
  if (after?.records !== before.records) return null;
  const own = context.usage.total().banks.find(({ bank }) => bank === vault.bank.name);
  return listed - before.stored - (own?.stored ?? 0);
}

/** What all records tell of a bank, and how many they are; null where some are still to come. */
async function recorded(
  { job: { id, tenant }, signal }: OperationContext,
  jobs: Jobs,
  bankName: string,
): Promise<{ readonly stored: number; readonly records: number } | null> {
  // In this order, or a job that is postponed meanwhile shows in neither list.
  for (const state of ['running', 'queued'] as const) {
    for await (const job of jobs.list(tenant, { state })) {
      signal.throwIfAborted();
      if (job.id !== id && job.epoch > 0) return null;
    }
  }
  let [stored, records] = [0, 0];
  for await (const { banks } of jobs.usage(tenant, {})) {
    signal.throwIfAborted();
    stored += banks.find(({ bank }) => bank === bankName)?.stored ?? 0;
    records += 1;
  }
  return { stored, records };
}

async function bytesIn({ bank, tenant }: Vault, call: CallOptions): Promise<number> {
  let bytes = 0;
  for await (const { size } of bank.list(`${tenant}/`, call)) bytes += size;
  return bytes;
}
