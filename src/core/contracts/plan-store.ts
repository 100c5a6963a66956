import type { PlanId, ResourceKey, TenantId } from './identity.ts';

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
  /** The roots: what to protect with all it depends on. */
  readonly resources: readonly ResourceKey[];
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
};

/** Where plans are kept. */
export interface PlanStore {
  /** Keeps a plan; `ALREADY_EXISTS` where the tenant has a plan of that name or id, be it an equal one. */
  create(plan: PlanRecord): Promise<void>;
  /** The plan, or undefined where this tenant has none of that id. */
  get(tenant: TenantId, id: PlanId): Promise<PlanRecord | undefined>;
  /** The tenant's plans in ascending order of id. */
  list(tenant: TenantId): AsyncIterable<PlanRecord>;
  /** Removes a plan; a missing one is success. Checkpoints stay. */
  remove(tenant: TenantId, id: PlanId): Promise<void>;
}
