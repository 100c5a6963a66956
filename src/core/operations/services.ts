import { findCommit, type OpenCheckpoint, openCheckpoint } from '../archive/catalog.ts';
import type {
  Bank,
  CallOptions,
  CheckpointId,
  PlanId,
  PlanRecord,
  Protectable,
  Provider,
  ResourceKey,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

/** A checkpoint, and the bank that holds it. */
export type OpenedCheckpoint = OpenCheckpoint & { readonly bank: Bank };

/** What operations reach beyond their own job. */
export class OperationServices {
  /** By name. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** The banks of all providers, by name. */
  readonly banks: ReadonlyMap<string, Bank>;
  /** A tenant's plan, or undefined. */
  readonly findPlan: (tenant: TenantId, id: PlanId) => Promise<PlanRecord | undefined>;

  constructor(of: Pick<OperationServices, 'providers' | 'banks' | 'findPlan'>) {
    this.providers = of.providers;
    this.banks = of.banks;
    this.findPlan = of.findPlan;
  }

  /** The provider of this name, or `UNKNOWN_PROVIDER`. */
  provider(name: string): Provider {
    const provider = this.providers.get(name);
    if (provider === undefined) throw new FafnirError('UNKNOWN_PROVIDER', `no provider is named ${name}`);
    return provider;
  }

  /** The tenant's plan, or `NOT_FOUND`. */
  async plan(tenant: TenantId, id: PlanId): Promise<PlanRecord> {
    const plan = await this.findPlan(tenant, id);
    if (plan === undefined) throw new FafnirError('NOT_FOUND', `no such plan: ${id}`);
    return plan;
  }

  /** The tenant's checkpoint and the bank that holds it, whichever that is; `NOT_FOUND` where none does. */
  async checkpoint(tenant: TenantId, id: CheckpointId, call: CallOptions): Promise<OpenedCheckpoint> {
    let unreadable: unknown;
    for (const bank of this.banks.values()) {
      try {
        const commit = await findCommit(bank, tenant, id, call);
        if (commit !== undefined) return { ...(await openCheckpoint(bank, commit, call)), bank };
      } catch (error) {
        // Another bank may have it. If none does, this is why it was not found.
        call.signal.throwIfAborted();
        unreadable ??= error;
      }
    }
    throw unreadable ?? new FafnirError('NOT_FOUND', `no such checkpoint: ${id}`);
  }
}

/** The provider's plugin for a resource, or `UNKNOWN_TYPE`. */
export function protectableFor(provider: Provider, key: Pick<ResourceKey, 'type'>): Protectable {
  const protectable = provider.protectables.get(key.type);
  if (protectable === undefined) {
    throw new FafnirError('UNKNOWN_TYPE', `provider ${provider.name} has no plugin for ${key.type}`);
  }
  return protectable;
}
