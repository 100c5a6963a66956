import { listCheckpoints } from '../archive/catalog.ts';
import type { Vault } from '../archive/vault.ts';
import type { BankUsage, CallOptions } from '../contracts/index.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { NOTHING_ADDED } from '../policy/metering.ts';
import type { OperationServices } from './services.ts';

type Jobs = OperationServices['jobs'];

/** What a tenant has in a bank. */
type Holding = Pick<BankUsage, 'stored' | 'checkpoints' | 'protected'>;

/**
 * What a tenant has in a bank beyond what its ended jobs and this one counted; negative where it has less. Null where
 * another job has begun and not ended, or ended meanwhile: what it counted is not in the records, or was not in the listing.
 */
export async function uncounted(
  context: OperationContext,
  { jobs }: { readonly jobs: Jobs },
  vault: Vault,
): Promise<Holding | null> {
  const call = { signal: context.signal };
  const before = await recorded(context, jobs, vault.bank.name);
  if (before === null) return null;
  // Of what was stored and removed just now, too.
  await context.clock.sleep(vault.bank.capabilities.listingDelay, call);
  const listed = await context.retry((call) => holdingIn(vault, call));
  const after = await recorded(context, jobs, vault.bank.name);
  if (after?.records !== before.records) return null;
  const own = context.usage.total().banks.find(({ bank }) => bank === vault.bank.name);
  return {
    stored: listed.stored - before.stored - (own?.stored ?? 0),
    checkpoints: listed.checkpoints - before.checkpoints,
    protected: listed.protected - before.protected,
  };
}

/** What all records tell of a bank, and how many they are; null where some are still to come. */
async function recorded(
  { job: { id, tenant }, signal }: OperationContext,
  jobs: Jobs,
  bankName: string,
): Promise<(Holding & { readonly records: number }) | null> {
  // In this order, or a job that is postponed meanwhile shows in neither list.
  for (const state of ['running', 'queued'] as const) {
    for await (const job of jobs.list(tenant, { state })) {
      signal.throwIfAborted();
      if (job.id !== id && job.epoch > 0) return null;
    }
  }
  const sum = { stored: 0, checkpoints: 0, protected: 0, records: 0 };
  for await (const { banks } of jobs.usage(tenant, {})) {
    signal.throwIfAborted();
    const added = banks.find(({ bank }) => bank === bankName) ?? NOTHING_ADDED;
    sum.stored += added.stored;
    sum.checkpoints += added.checkpoints;
    sum.protected += added.protected;
    sum.records += 1;
  }
  return sum;
}

async function holdingIn(vault: Vault, call: CallOptions): Promise<Holding> {
  const sum = { stored: 0, checkpoints: 0, protected: 0 };
  for await (const { size } of vault.bank.list(`${vault.tenant}/`, call)) sum.stored += size;
  for await (const checkpoint of listCheckpoints(vault, {}, call)) {
    // Of a damaged one nobody knows the size, and a collection does not come this far.
    if (checkpoint.state === 'removed' || !('bytes' in checkpoint)) continue;
    sum.checkpoints += 1;
    sum.protected += checkpoint.bytes;
  }
  return sum;
}
