import type { Bank } from './bank.ts';
import type { ExternalCopies } from './external-copies.ts';
import type { TenantId } from './identity.ts';
import type { KeyProvider } from './key-provider.ts';
import type { SnapshotPolicyRules } from './policy.ts';
import type { Probe } from './probe.ts';
import type { Protectable } from './protectable.ts';
import type { SnapshotHooks } from './snapshot-hooks.ts';
import type { SnapshotStrategy } from './snapshot-strategy.ts';
import type { StorageArray } from './storage-array.ts';

/** What a vendor package hands over: plugins that belong together. */
export interface Part {
  /** The version of this contract. */
  readonly contract: 1;
  /** Such as `local`; for messages. */
  readonly name: string;
  /** Plugins for resource types. */
  readonly protectables?: readonly Protectable[];
  /** Storage arrays. */
  readonly arrays?: readonly StorageArray[];
  /** Services that keep backups of their own. */
  readonly copyStores?: readonly ExternalCopies[];
  /** Strategies, the preferred first; used where the provider names none. */
  readonly strategies?: readonly SnapshotStrategy[];
}

/** A bank and what the provider uses it for. */
export interface ProviderBank {
  /** The bank. */
  readonly bank: Bank;
  /** Wraps the data keys of what is in the bank. All providers of an engine that share a bank share this. */
  readonly keys: KeyProvider;
  /** `primary`: checkpoints are written here; exactly one. */
  readonly role: 'primary';
}

/** What a tenant picks: the parts of one site joined with a bank and strategies. Frozen. */
export interface Provider {
  /** Unique within an engine; recorded in plans and checkpoints. */
  readonly name: string;
  /** Where the parts are. */
  readonly site: string;
  /** By type. */
  readonly protectables: ReadonlyMap<string, Protectable>;
  /** By name. */
  readonly arrays: ReadonlyMap<string, StorageArray>;
  /** External stores of copies, by name; missing where there are none. */
  readonly copyStores?: ReadonlyMap<string, ExternalCopies>;
  /** What the host does around snapshots, by type. */
  readonly hooks: ReadonlyMap<string, SnapshotHooks>;
  /** What the host asks of what a restore has made, by type. */
  readonly probes: ReadonlyMap<string, Probe>;
  /** In order of preference. */
  readonly strategies: readonly SnapshotStrategy[];
  /** Where checkpoints are written. */
  readonly bank: Bank;
  /** Wraps the data keys of what is in the bank. */
  readonly keys: KeyProvider;
  /** Its defaults, bounds and locks of the policy of snapshots. */
  readonly policy: SnapshotPolicyRules;
  /** Those of a tenant at this moment, within the provider's; undefined where it has none. */
  readonly tenantPolicy?: (tenant: TenantId) => SnapshotPolicyRules | undefined;
}
