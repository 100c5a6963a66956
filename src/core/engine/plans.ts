import * as z from 'zod';
import type {
  DeclaredDependency,
  PlanId,
  PlanRecord,
  Provider,
  ResourceSelector,
  RetentionPolicy,
  SnapshotPolicyWish,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';
import { resourceKey, resourceSelector } from '../graph/selection.ts';
import { parsePlanId } from '../identity.ts';
import { encodeJson } from '../json-text.ts';
import { discoverPlan } from '../operations/discover-plan.ts';
import { protectableFor } from '../operations/services.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { policyFor } from '../policy/cascade.ts';
import { policyWishSchema } from '../policy/policy-schema.ts';
import { retentionSchema } from '../policy/retention-schema.ts';
import { entryOf, parseReasoned, type Reasoned } from './auditing.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';

/** A plan as a tenant asks for it. */
export interface NewPlan {
  /** For people; unique within the tenant. */
  readonly name: string;
  /** One of the engine's providers. */
  readonly provider: string;
  /**
   * What to protect, with all it depends on; at least one. A key, `{ type, id }`, names one resource. A rule, such as
   * `{ tags: { tier: 'gold' } }`, chooses by what resources are like, anew for each run.
   */
  readonly resources: readonly ResourceSelector[];
  /** What stays out, with all that only it depends on; also where it was chosen. Default: nothing. */
  readonly exclude?: readonly ResourceSelector[];
  /** Dependencies that the provider cannot see. Default: none. */
  readonly dependencies?: readonly DeclaredDependency[];
  /**
   * What becomes of a run that cannot read the dependencies of a resource. `refuse`, the default: it fails. `allow`:
   * its checkpoint is `partial`, and names the resource.
   */
  readonly incomplete?: 'refuse' | 'allow';
  /**
   * What becomes of a run in which a resource fails. `fail`, the default: nothing new is started, and all is undone.
   * `continue`: only what depends on the resource is left out, and the checkpoint is `partial`.
   */
  readonly onFailure?: 'fail' | 'continue';
  /** What becomes of its snapshots. Default: what the provider and the tenant have as default. */
  readonly policy?: SnapshotPolicyWish;
  /** How long its checkpoints stay; `session.retain` acts on it. Default: until somebody removes them. */
  readonly retention?: RetentionPolicy;
}

// A job has its plan in its input, which stores bound.
const LARGEST_PLAN = 128 * 1024;

const newPlanSchema = strictOptions({
  name: z.string().min(1).max(255),
  provider: z.string(),
  resources: z.array(resourceSelector).min(1, 'a plan needs a resource to begin with'),
  exclude: z.array(resourceSelector).exactOptional(),
  dependencies: z
    .array(
      strictOptions({ from: resourceKey, to: resourceKey }).refine(
        ({ from, to }) => from.type !== to.type || from.id !== to.id,
        'a resource cannot depend on itself',
      ),
    )
    .exactOptional(),
  incomplete: z.enum(['refuse', 'allow']).exactOptional(),
  onFailure: z.enum(['fail', 'continue']).exactOptional(),
  policy: policyWishSchema.exactOptional(),
  retention: retentionSchema.exactOptional(),
}) satisfies z.ZodType<NewPlan>;

/** A tenant's plans. */
export class Plans {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;
  readonly #actor: string;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId, actor: string) {
    this.#services = services;
    this.#tenant = tenant;
    this.#actor = actor;
  }

  /**
   * Adds a plan. `UNKNOWN_PROVIDER` or `ALREADY_EXISTS` where it cannot be; `UNKNOWN_TYPE` where it begins with, or
   * declares a dependency of, a type that the provider has no plugin for; `REFUSED_BY_POLICY` where the provider or the
   * tenant does not allow its policy; `LIMIT_EXCEEDED` above 128 KiB as JSON; `QUOTA_EXCEEDED` where the
   * tenant may have no more plans. Whether the resources exist is not looked
   * at before a run, or {@link Plans.graph}.
   */
  async create(plan: NewPlan, options: Reasoned = {}): Promise<PlanRecord> {
    const { store, operations, quotaOf, clock, ids } = this.#services;
    const asked = parseOptions('plans.create', newPlanSchema, plan);
    const by = { actor: this.#actor, ...parseReasoned('plans.create', options) };
    const { policy = {} } = asked;
    const provider = operations.provider(asked.provider, this.#tenant);
    assertKnownTypes(provider, asked);
    policyFor(provider, this.#tenant, { plan: policy });
    const createdAt = clock.now();
    const record: PlanRecord = {
      id: parsePlanId(ids(createdAt)),
      tenant: this.#tenant,
      name: asked.name,
      provider: asked.provider,
      resources: asked.resources,
      exclude: asked.exclude ?? [],
      dependencies: asked.dependencies ?? [],
      incomplete: asked.incomplete ?? 'refuse',
      onFailure: asked.onFailure ?? 'fail',
      policy,
      ...(asked.retention && { retention: asked.retention }),
      createdAt,
    };
    const size = Buffer.byteLength(encodeJson('plans.create', record));
    if (size > LARGEST_PLAN) {
      throw new FafnirError('LIMIT_EXCEEDED', `a plan of ${size} bytes is larger than ${LARGEST_PLAN}`, {
        hint: 'Choose by rules rather than by many keys.',
      });
    }
    const quota = await quotaOf(this.#tenant);
    const about = { plan: record.id, provider: record.provider };
    const audit = entryOf(this.#services, by, 'plan.created', about);
    await store.plans.create(record, { ...(quota && { quota }), audit });
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

  /**
   * The application of a plan as it is now: what a run would protect, what it would leave out, and what could not be
   * read. `NOT_FOUND` for an unknown plan, a key of something that does not exist, or a rule that chooses nothing.
   */
  async graph(id: PlanId, options?: Cancellable): Promise<ResourceGraph> {
    const { operations } = this.#services;
    const plan = await operations.plan(this.#tenant, parsePlanId(id));
    return discoverPlan(plan, operations.provider(plan.provider, this.#tenant), callOf(options));
  }

  /** Removes a plan; a missing one is success. Its checkpoints stay. */
  async remove(id: PlanId, options: Reasoned = {}): Promise<void> {
    const by = { actor: this.#actor, ...parseReasoned('plans.remove', options) };
    const plan = parsePlanId(id);
    const entry = entryOf(this.#services, by, 'plan.removed', { plan });
    return this.#services.store.plans.remove(this.#tenant, plan, entry);
  }
}

// Not those of exclusions: what no plugin knows can still be met, as a dependency, and be left out.
function assertKnownTypes(
  provider: Provider,
  { resources, dependencies = [] }: Pick<NewPlan, 'resources' | 'dependencies'>,
): void {
  const named = [...resources, ...dependencies.flatMap(({ from, to }) => [from, to])];
  for (const { type } of named) if (type !== undefined) protectableFor(provider, { type });
}
