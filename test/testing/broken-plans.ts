import type { JobStore, PlanRecord, PlanStore, ResourceSelector } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { BrokenStore } from './broken-stores.ts';

function keeping(change: (plan: PlanRecord) => PlanRecord): () => JobStore {
  return () => {
    const store = memoryStore();
    return {
      ...store,
      plans: { ...store.plans, create: (plan: PlanRecord) => store.plans.create(change(plan)) },
    };
  };
}

// Member by member, as one would write it at first: a member of the name __proto__ is not added so.
function carelessly(selector: ResourceSelector): ResourceSelector {
  if ('id' in selector) return selector;
  const tags: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(selector.tags ?? {})) tags[name] = value;
  return { ...selector, ...(selector.tags && { tags }) };
}

function sharing(): JobStore {
  const store = memoryStore();
  const shared = new Map<string, PlanRecord>();
  const plans: PlanStore = {
    ...store.plans,
    create: async (plan) => {
      await store.plans.create(plan);
      shared.set(plan.id, plan);
    },
    get: async (tenant, id) => (await store.plans.get(tenant, id)) && shared.get(id),
  };
  return { ...store, plans };
}

/** Doubles with careless plans that the suite must catch. */
export const BROKEN_PLANS: readonly BrokenStore[] = [
  {
    forgets: 'what a plan excludes',
    foundBy: ['a plan comes back as it was'],
    create: keeping((plan) => ({ ...plan, exclude: [] })),
  },
  {
    forgets: 'dependencies that were declared',
    foundBy: ['a plan comes back as it was'],
    create: keeping((plan) => ({ ...plan, dependencies: [] })),
  },
  {
    forgets: 'what becomes of a failed run',
    foundBy: ['a plan comes back as it was', 'is kept apart'],
    create: keeping((plan) => ({ ...plan, onFailure: 'fail' })),
  },
  {
    forgets: 'what a plan wishes of its snapshots',
    foundBy: ['a plan comes back as it was', 'a policy comes back'],
    create: keeping((plan) => ({ ...plan, policy: {} })),
  },
  {
    forgets: 'that any name may be the name of a tag',
    foundBy: ['conditions of rules come back'],
    create: keeping((plan) => ({ ...plan, resources: plan.resources.map(carelessly) })),
  },
  { forgets: 'to copy plans', foundBy: ['plans are copies'], create: sharing },
];
