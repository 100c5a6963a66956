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
import { Limiter } from '../policy/limiter.ts';
import { type CallLimits, limitProvider } from './limited-provider.ts';

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
  /** How many calls to plugins may be under way at once. */
  readonly limits: CallLimits;
  /** Counts, over all jobs, groups whose snapshots are being taken; by array. */
  readonly snapshots: Limiter = new Limiter();
  readonly #calls = new Limiter();

  constructor(of: Pick<OperationServices, 'providers' | 'banks' | 'findPlan' | 'limits'>) {
    this.providers = of.providers;
    this.banks = of.banks;
    this.findPlan = of.findPlan;
    this.limits = of.limits;
  }

  /**
   * The provider of this name, or `UNKNOWN_PROVIDER`. Its plugins are called for the tenant, within the limits;
   * `urgent` calls go before others.
   */
  provider(name: string, tenant: TenantId, { urgent = false }: { readonly urgent?: boolean } = {}): Provider {
    const provider = this.providers.get(name);
    if (provider === undefined) throw new FafnirError('UNKNOWN_PROVIDER', `no provider is named ${name}`);
    return limitProvider(provider, this.#calls, { tenant, limits: this.limits, urgent });
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
