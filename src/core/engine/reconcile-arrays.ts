import * as z from 'zod';
import type { JobStore } from '../contracts/index.ts';
import { isInstallation } from '../identity.ts';
import { type Reconciliation, SnapshotReconciliation } from '../operations/reconcile.ts';
import type { OperationServices } from '../operations/services.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { actorSchema, entryOf, type OperatorCall, reasonSchema } from './auditing.ts';
import { type Cancellable, callOf } from './session-services.ts';

/** What a call that reconciles arrays and external stores says. */
export interface ReconcileOptions extends Cancellable, OperatorCall {
  /** The provider whose arrays and external stores are compared. */
  readonly provider: string;
  /** Only tells what would go. Default false. */
  readonly preview?: boolean;
  /**
   * Installations whose orphans are removed as well, because their job store is lost and no engine runs on it any more.
   * Only those that the provider's bank has a record of.
   */
  readonly adopt?: readonly string[];
}

const schema = strictOptions({
  provider: z.string(),
  preview: z.boolean().exactOptional(),
  adopt: z.array(z.string().refine(isInstallation, 'must be 12 characters of a-f 0-9')).exactOptional(),
  signal: z.instanceof(AbortSignal).exactOptional(),
  actor: actorSchema.exactOptional(),
  reason: reasonSchema.exactOptional(),
}) satisfies z.ZodType<ReconcileOptions>;

/** Reconciles the arrays and external stores of a provider. */
export async function reconcileArrays(
  services: OperationServices,
  store: JobStore,
  options: ReconcileOptions,
): Promise<Reconciliation> {
  const asked = parseOptions('reconcile', schema, options);
  const { provider, preview = false, adopt = [], signal, actor = 'operator', ...rest } = asked;
  const call = callOf(signal && { signal });
  call.signal.throwIfAborted();
  if (!preview) {
    const entry = entryOf(services, { actor, ...rest }, 'reconcile.started', { provider });
    await store.audit.append(null, entry);
  }
  return new SnapshotReconciliation(services, store, { provider, preview, adopt }, call).run();
}
