import * as z from 'zod';
import type { PlanId, PlanRecord, ResourceKey, TenantId } from '../contracts/index.ts';
import { parsePlanId } from '../identity.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { protectableFor } from '../operations/services.ts';
import type { SessionServices } from './session-services.ts';

/** A plan as a tenant asks for it. */
export interface NewPlan {
  /** For people; unique within the tenant. */
  readonly name: string;
  /** One of the engine's providers. */
  readonly provider: string;
  /** What to protect, with all it depends on. */
  readonly resources: readonly ResourceKey[];
}

const newPlanSchema = strictOptions({
  name: z.string().min(1).max(255),
  provider: z.string(),
  resources: z
    .array(strictOptions({ type: z.string().min(1).max(255), id: z.string().min(1).max(1024) }))
    .min(1, 'a plan needs a resource to begin with'),
}) satisfies z.ZodType<NewPlan>;

/** A tenant's plans. */
export class Plans {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId) {
    this.#services = services;
    this.#tenant = tenant;
  }

  /** Adds a plan; `UNKNOWN_PROVIDER`, `UNKNOWN_TYPE` or `ALREADY_EXISTS` where it cannot be. */
  async create(plan: NewPlan): Promise<PlanRecord> {
    const { store, operations, clock, ids } = this.#services;
    const { name, provider, resources } = parseOptions('plans.create', newPlanSchema, plan);
    const known = operations.provider(provider);
    for (const resource of resources) protectableFor(known, resource);
    const createdAt = clock.now();
    const id = parsePlanId(ids(createdAt));
    const record = { id, tenant: this.#tenant, name, provider, resources, createdAt };
    await store.plans.create(record);
    return record;
  }

  /** A plan, or undefined where the tenant has none of that id. */
  async get(id: PlanId): Promise<PlanRecord | undefined> {
    return this.#services.store.plans.get(this.#tenant, parsePlanId(id));
  }

  /** The tenant's plans in the order they were made. */
  list(): AsyncIterable<PlanRecord> {
    return this.#services.store.plans.list(this.#tenant);
  }

  /** Removes a plan; a missing one is success. Its checkpoints stay. */
  async remove(id: PlanId): Promise<void> {
    return this.#services.store.plans.remove(this.#tenant, parsePlanId(id));
  }
}
