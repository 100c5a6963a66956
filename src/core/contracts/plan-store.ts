import type { Addition } from './addition.ts';
import type { AuditEntry } from './audit.ts';
import type { PlanId, TenantId } from './identity.ts';
import type { SnapshotPolicyWish } from './policy.ts';
import type { RetentionPolicy } from './retention.ts';
import type { DeclaredDependency, ResourceSelector } from './selection.ts';

/** What to protect, with which provider. */
export type PlanRecord = {
  /** The plan's id. */
  readonly id: PlanId;
  /** Whose plan. */
  readonly tenant: TenantId;
  /** For people; unique within the tenant. */
  readonly name: string;
  /** The provider's name. */
  readonly provider: string;
  /** What to protect with all it depends on: each key, and whatever each rule chooses at the time of a run. */
  readonly resources: readonly ResourceSelector[];
  /** What stays out, with all that only it depends on. */
  readonly exclude: readonly ResourceSelector[];
  /** Dependencies that no plugin can see. */
  readonly dependencies: readonly DeclaredDependency[];
  /**
   * What becomes of a run that cannot read the dependencies of a resource. `refuse`: it fails. `allow`: its checkpoint
   * is `partial`, and names the resource.
   */
  readonly incomplete: 'refuse' | 'allow';
  /**
   * What becomes of a run in which a resource fails. `fail`: nothing new is started, and all is undone. `continue`:
   * only what depends on the resource is left out, and the checkpoint is `partial`.
   */
  readonly onFailure: 'fail' | 'continue';
  /** What becomes of its snapshots, where the plan says so; empty where it leaves all of that to others. */
  readonly policy: SnapshotPolicyWish;
  /** How long its checkpoints stay; where it is missing, until somebody removes them. */
  readonly retention?: RetentionPolicy;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
};

/** Where plans are kept; for `audit` see `JobStore`. What a plan chooses is not judged here: the session has checked it. */
export interface PlanStore {
  /**
   * Keeps a plan; `ALREADY_EXISTS` where the tenant has a plan of that name or id, be it an equal one;
   * `INVALID_OPTIONS` for what is not JSON; `QUOTA_EXCEEDED` where the tenant would have more plans than it may.
   */
  create(plan: PlanRecord, addition?: Addition): Promise<void>;
  /** The plan, or undefined where this tenant has none of that id; `CORRUPT` where it is damaged. */
  get(tenant: TenantId, id: PlanId): Promise<PlanRecord | undefined>;
  /** The tenant's plans in ascending order of id; ends with `CORRUPT` at one that is damaged. */
  list(tenant: TenantId): AsyncIterable<PlanRecord>;
  /** Removes a plan; a missing one is success. Checkpoints stay. */
  remove(tenant: TenantId, id: PlanId, audit?: AuditEntry): Promise<void>;
}
