import { findCommit, type OpenCheckpoint, openCheckpoint } from '../archive/catalog.ts';
import type { AnchoredHead } from '../archive/checkpoint.ts';
import { putInstallation } from '../archive/installations.ts';
import { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  CheckpointId,
  Clock,
  JobStore,
  PlanId,
  PlanRecord,
  Protectable,
  Provider,
  ResourceKey,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';
import { Limiter } from '../policy/limiter.ts';
import type { Archiving } from './archiving.ts';
import { checkedKeys } from './checked/keys.ts';
import { checkedProvider } from './checked/provider.ts';
import { withHooks } from './hooked-quiescing.ts';
import { type CallLimits, limitProvider } from './limited-provider.ts';
import { lockOf } from './locks.ts';
import { meteredBank } from './metered-bank.ts';
import { withProbes } from './restore-probes.ts';
import type { SharedLimits } from './shared-limits.ts';

/** A checkpoint, and the tenant's part of the bank that holds it. */
export type OpenedCheckpoint = OpenCheckpoint & { readonly vault: Vault };

// A vault that was dropped is made again; only its keys are unwrapped once more.
const MOST_VAULTS = 1_000;

/** What operations reach beyond their own job. */
export class OperationServices {
  /** By name. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** The banks of all providers, by name, with their keys. */
  readonly banks: ReadonlyMap<string, Pick<Provider, 'bank' | 'keys'>>;
  /** A tenant's plan, or undefined. */
  readonly findPlan: (tenant: TenantId, id: PlanId) => Promise<PlanRecord | undefined>;
  /** Jobs, what they used, and what the audit tells. */
  readonly jobs: Pick<JobStore, 'list' | 'usage' | 'audit'>;
  /** How many calls to plugins may be under way at once. */
  readonly limits: CallLimits;
  /** How much may be under way at once over all engines on the store. */
  readonly sharedLimits: SharedLimits;
  /** The time. */
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  /** How archives are read and written. */
  readonly archiving: Archiving;
  /** Whose names of effects are: the job store's. */
  readonly installation: string;
  /** Counts, over all jobs, groups whose snapshots are being taken; by array. */
  readonly snapshots: Limiter = new Limiter();
  readonly #calls = new Limiter();
  // The one that was asked for last is the last.
  readonly #vaults = new Map<string, Vault>();
  // Where the installation is known to be recorded.
  readonly #recorded = new WeakSet<Vault>();

  constructor(
    of: Pick<
      OperationServices,
      | 'providers'
      | 'banks'
      | 'findPlan'
      | 'jobs'
      | 'limits'
      | 'sharedLimits'
      | 'clock'
      | 'archiving'
      | 'installation'
    >,
  ) {
    this.providers = of.providers;
    this.banks = of.banks;
    this.findPlan = of.findPlan;
    this.jobs = of.jobs;
    this.limits = of.limits;
    this.sharedLimits = of.sharedLimits;
    this.clock = of.clock;
    this.archiving = of.archiving;
    this.installation = of.installation;
  }

  /**
   * The provider of this name, or `UNKNOWN_PROVIDER`. Its plugins are called for the tenant (null: for the engine
   * itself), within the limits, and not believed; `urgent` calls go before others.
   */
  provider(
    name: string,
    tenant: TenantId | null,
    { urgent = false }: { readonly urgent?: boolean } = {},
  ): Provider {
    const provider = this.providers.get(name);
    if (provider === undefined) throw new FafnirError('UNKNOWN_PROVIDER', `no provider is named ${name}`);
    const limited = limitProvider(checkedProvider(provider), this.#calls, {
      tenant,
      limits: this.limits,
      urgent,
    });
    return withProbes(withHooks(limited, this.clock));
  }

  /** The tenant's part of the bank of this name; `UNKNOWN_PROVIDER` where no provider has the bank. */
  vault(bankName: string, tenant: TenantId): Vault {
    const known = this.banks.get(bankName);
    if (known === undefined)
      throw new FafnirError('UNKNOWN_PROVIDER', `no provider has the bank ${bankName}`);
    const { bank, keys } = known;
    const name = joinParts(bankName, tenant);
    const vault =
      this.#vaults.get(name) ??
      new Vault({ bank: meteredBank(bank), keys: checkedKeys(keys), tenant, clock: this.clock });
    this.#vaults.delete(name);
    this.#vaults.set(name, vault);
    const [oldest = name] = this.#vaults.keys();
    if (this.#vaults.size > MOST_VAULTS) this.#vaults.delete(oldest);
    return vault;
  }

  /** The tenant's part of every bank. */
  vaults(tenant: TenantId): readonly Vault[] {
    return Array.from(this.banks.keys(), (name) => this.vault(name, tenant));
  }

  /** Sees to it that the tenant's part of a bank says whose the names of snapshots are, before there is one. */
  async recordInstallation(vault: Vault, call: CallOptions): Promise<void> {
    if (this.#recorded.has(vault)) return;
    const at = new Date(this.clock.now()).toISOString();
    await putInstallation(vault, { id: this.installation, at }, call);
    this.#recorded.add(vault);
  }

  /** The end of a chain of the audit as it is now. */
  async auditHead(tenant: TenantId | null): Promise<AnchoredHead> {
    return { installation: this.installation, ...(await this.jobs.audit.head(tenant)) };
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
    for (const vault of this.vaults(tenant)) {
      try {
        const commit = await findCommit(vault, id, call);
        if (commit === undefined) continue;
        // What is said of a checkpoint is locked with it.
        const until = vault.bank.capabilities.locks ? lockOf(commit) : null;
        return { ...(await openCheckpoint(vault, commit, call)), vault: vault.lockedUntil(until) };
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
