import type { CallOptions, Provider, ResourceKey } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { joinParts } from '../identity.ts';
import type { RestoreInput } from './restore-input.ts';
import type { RestoreRequest } from './restore-new.ts';
import {
  planRestore,
  type RestoreAction,
  type RestoreMap,
  type RestorePlan,
  type StandIn,
} from './restore-plan.ts';
import { planReplacing, type ReplacingPlan } from './restore-replace.ts';

// One more would tell nothing more.
const FEW = 2;

/** What becomes of a resource that is to be created, where the destination has one of its type and name. */
export type ConflictPolicy = 'fail' | 'skip' | 'rename' | 'replace';

/** By original, the resources of the destination that have its type and name; at most two of each. */
export type Conflicts = ReadonlyMap<string, readonly ResourceKey[]>;

/** Looks for resources that have the type and name of what is to be created. Without effects. */
export async function findConflicts(
  actions: readonly RestoreAction[],
  { protectables }: Pick<Provider, 'protectables'>,
  call: CallOptions,
): Promise<Conflicts> {
  const created = actions.filter(({ standIn }) => standIn === null);
  const wanted = new Map(created.map(({ resource }) => [labelOf(resource), [] as ResourceKey[]]));
  for (const type of new Set(created.map(({ resource }) => resource.type))) {
    const protectable = protectables.get(type);
    if (protectable === undefined) continue;
    for await (const { id, name } of protectable.list(call)) {
      const found = wanted.get(labelOf({ type, name }));
      if (found !== undefined && found.length < FEW) found.push({ type, id });
    }
  }
  return new Map(
    created.flatMap(({ resource }) => {
      const found = wanted.get(labelOf(resource)) ?? [];
      return found.length === 0 ? [] : [[describeKey(resource), found] as const];
    }),
  );
}

const labelOf = ({ type, name }: { readonly type: string; readonly name: string }): string =>
  joinParts(type, name);

/** Plans a restore around what is there already, which `find` tells unless nobody is to look. */
export async function planAround(
  request: RestoreRequest,
  { map, resources, conflict }: Pick<RestoreInput, 'map' | 'resources' | 'conflict'>,
  find: (actions: readonly RestoreAction[]) => Promise<Conflicts>,
): Promise<{ readonly plan: ReplacingPlan; readonly conflicts: Conflicts }> {
  const { graph } = request;
  const around = (plan: RestorePlan, conflicts: Conflicts): Awaited<ReturnType<typeof planAround>> => ({
    plan: { ...plan, overwrites: [], kept: [] },
    conflicts,
  });
  const plan = planRestore(graph, map, resources);
  if (!conflict) return around(plan, new Map());
  const conflicts = await find(plan.actions);
  if (conflict === 'replace') {
    return { plan: planReplacing(request, { map, resources }, conflicts), conflicts };
  }
  if (conflict !== 'skip') return around(plan, conflicts);
  return around(planRestore(graph, withSkipped(map, plan.actions, conflicts), resources), conflicts);
}

// For what is to be skipped, the one resource that is there stands.
function withSkipped(map: RestoreMap, actions: readonly RestoreAction[], conflicts: Conflicts): RestoreMap {
  const skipped = actions.flatMap(({ resource: { type, id } }): readonly StandIn[] => {
    const [to, ...others] = conflicts.get(describeKey({ type, id })) ?? [];
    return to === undefined || others.length > 0 ? [] : [{ from: { type, id }, to }];
  });
  return { ...map, resources: [...(map.resources ?? []), ...skipped] };
}

/** What of these conflicts stands in the way under a policy, as sentences. */
export function conflictGaps(
  { actions }: Pick<RestorePlan, 'actions'>,
  conflicts: Conflicts,
  policy: ConflictPolicy | null,
  destination: Pick<Provider, 'name' | 'protectables'>,
): readonly string[] {
  return actions.flatMap(({ resource, standIn }) => {
    const [existing, another] = conflicts.get(describeKey(resource)) ?? [];
    if (standIn !== null || existing === undefined) return [];
    const there = `${destination.name} has ${describeKey(existing)} of the name ${resource.name}`;
    switch (policy) {
      case null:
        return [];
      case 'fail':
        return `${describeKey(resource)} would be a second one: ${there}`;
      case 'skip':
      case 'replace':
        // What stands for it alone is no conflict any more.
        return another === undefined
          ? []
          : `${describeKey(resource)} cannot ${policy === 'skip' ? 'be skipped' : 'replace one'}: ${there}, and ${describeKey(another)} as well`;
      case 'rename':
        return destination.protectables.get(resource.type)?.renames === true
          ? []
          : `${describeKey(resource)} cannot be renamed: ${there}, and the plugin for ${resource.type} gives no other names`;
      default:
        return policy satisfies never;
    }
  });
}
