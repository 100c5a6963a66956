import pMap from 'p-map';
import type { CallOptions, Provider, ResourceKey } from '../contracts/index.ts';
import { checkDependencies, checkFound, discoveryFailed } from '../graph/answers.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { findTargets, type Overwrite, type OverwriteTargets, planOverwrites } from './overwrite-plan.ts';
import type { Conflicts } from './restore-conflicts.ts';
import type { RestoreInput } from './restore-input.ts';
import type { RestoreRequest } from './restore-new.ts';
import {
  nobodyDependsOn,
  planRestore,
  type RestoreAction,
  type RestorePlan,
  type StandIn,
} from './restore-plan.ts';

const CALLS_AT_ONCE = 8;

// How a resource is reached: only from what keeps what it is joined to, or from something that is created as well.
const OUTSIDE = 0;
const KEPT = 1;
const WANTED = 2;

/** A resource that is there and keeps what it is joined to, and what leads from its original to data. */
type Kept = {
  readonly parent: StandIn;
  readonly below: readonly RestoreAction[];
};

/** A plan by which what is there takes the data of what has its type and name. */
export type ReplacingPlan = RestorePlan & {
  /** The volumes of what is there, which are overwritten. */
  readonly overwrites: readonly Overwrite[];
  /** What is there, as far as there is data below its original. */
  readonly kept: readonly Kept[];
};

/**
 * Plans around what is there: the one that has the type and name of an original stands for it, and keeps its description and
 * what it is joined to; its volumes take the original's data. Below it only what leads to data matters.
 */
export function planReplacing(
  { opened, graph, destination }: RestoreRequest,
  { map, resources: chosen }: Pick<RestoreInput, 'map' | 'resources'>,
  conflicts: Conflicts,
): ReplacingPlan {
  const mapped = new Map((map.resources ?? []).map(({ from, to }) => [describeKey(from), to]));
  const there = new Map<string, ResourceKey>();
  for (const [name, [only, ...others]] of conflicts)
    if (only !== undefined && others.length === 0) there.set(name, only);
  const standInOf = (name: string): ResourceKey | null => mapped.get(name) ?? there.get(name) ?? null;
  const replaced = graph.resources.flatMap(({ type, id }): readonly StandIn[] => {
    const to = there.get(describeKey({ type, id }));
    return to === undefined ? [] : [{ from: { type, id }, to }];
  });
  const holders = planOverwrites(graph, opened, destination, { resources: replaced }, null);
  const leads = leadingToData(graph, holders, mapped);
  const roots = new Set((chosen ?? nobodyDependsOn(graph)).flatMap((key) => graph.position(key) ?? []));
  const marks = new Uint8Array(graph.resources.length);
  for (const position of roots) marks[position] = WANTED;
  // Backwards, every dependant comes before what it depends on.
  for (let at = graph.order.length - 1; at >= 0; at -= 1) {
    const position = graph.order[at] ?? 0;
    const name = nameAt(graph, position);
    if (marks[position] === KEPT && leads[position] !== true) marks[position] = OUTSIDE;
    if (marks[position] === OUTSIDE || mapped.has(name)) continue;
    const reached = there.has(name) ? KEPT : WANTED;
    for (const dependency of graph.dependencies(position)) {
      marks[dependency] = Math.max(marks[dependency] ?? OUTSIDE, reached);
    }
  }
  const isAdded = (position: number): boolean => chosen !== null && !roots.has(position);
  const actions = new Map<number, RestoreAction>();
  for (const position of graph.order) {
    const resource = graph.resources[position];
    if (resource === undefined || marks[position] === OUTSIDE) continue;
    const standIn = standInOf(describeKey(resource));
    actions.set(position, { position, resource, standIn, added: isAdded(position) });
  }
  const kept = [...actions.values()].flatMap(({ position, resource: { type, id } }): readonly Kept[] => {
    const to = there.get(describeKey({ type, id }));
    const below = [...graph.dependencies(position)].filter((dependency) => leads[dependency] === true);
    if (to === undefined || below.length === 0) return [];
    return [{ parent: { from: { type, id }, to }, below: below.flatMap((one) => actions.get(one) ?? []) }];
  });
  return {
    actions: [...actions.values()],
    standIns: planRestore(graph, map, chosen).standIns,
    overwrites: holders
      .filter(({ position, resource }) => actions.has(position) && there.has(describeKey(resource)))
      .map((one) => ({ ...one, added: isAdded(one.position) })),
    kept,
  };
}

// By position, whether it holds data or depends on what does; data below what is mapped is not restored.
function leadingToData(
  graph: ResourceGraph,
  holders: readonly Overwrite[],
  mapped: ReadonlyMap<string, ResourceKey>,
): readonly boolean[] {
  const leads: boolean[] = graph.resources.map(() => false);
  for (const { position } of holders) leads[position] = true;
  for (const position of graph.order) {
    if (mapped.has(nameAt(graph, position))) leads[position] = false;
    else if (graph.dependencies(position).some((dependency) => leads[dependency])) leads[position] = true;
  }
  return leads;
}

function nameAt(graph: ResourceGraph, position: number): string {
  const resource = graph.resources[position];
  return resource === undefined ? '' : describeKey(resource);
}

/** Finds the volumes that a plan overwrites, and what stands in the way of its replacing. Without effects. */
export async function findReplaced(
  { overwrites, kept }: ReplacingPlan,
  { opened, destination }: Pick<RestoreRequest, 'opened' | 'destination'>,
  call: CallOptions,
): Promise<OverwriteTargets> {
  const { volumes, gaps } = await findTargets(overwrites, opened.commit, destination, call);
  const strangers = await pMap(kept, (one) => findStrangers(one, destination, call), {
    concurrency: CALLS_AT_ONCE,
    signal: call.signal,
  });
  return { volumes, gaps: [...gaps, ...strangers.flat()] };
}

// What is there and not joined to the parent is somebody else's; what is created is joined to nobody.
async function findStrangers(
  { parent: { from, to }, below }: Kept,
  { name, protectables }: Pick<Provider, 'name' | 'protectables'>,
  call: CallOptions,
): Promise<readonly string[]> {
  const protectable = protectables.get(to.type);
  if (protectable === undefined) return [];
  const found = await protectable.find([to.id], call);
  checkFound(found, protectable);
  const answer = await protectable.dependencies(found, call);
  checkDependencies(answer, protectable);
  const [failure] = answer.failures;
  const what = describeKey(to);
  if (failure !== undefined) throw discoveryFailed(`cannot read what ${what} depends on`, failure.error);
  const joined = new Set(answer.resources.map(describeKey));
  return below.flatMap(({ resource, standIn }) => {
    if (standIn !== null && joined.has(describeKey(standIn))) return [];
    const why =
      standIn === null ? `${name} has none of its name` : `${describeKey(standIn)} is not joined to it`;
    return `${describeKey(resource)} has no place in ${what}, which stands for ${describeKey(from)}: ${why}`;
  });
}
