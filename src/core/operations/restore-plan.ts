import type { OpenCheckpoint } from '../archive/catalog.ts';
import type { CallOptions, Provider, Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { checkFound } from '../graph/answers.ts';
import { closure } from '../graph/closure.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';

// How many resources a refusal names.
const NAMED = 5;

/** What stands for an original after a restore. */
export type StandIn = {
  /** The original. */
  readonly from: ResourceKey;
  /** What was created for it, or was mapped to. */
  readonly to: ResourceKey;
};

/** How originals become what they are at the destination. */
export type RestoreMap = {
  /** Resources that are not created because something at the destination stands for them. */
  readonly resources?: readonly StandIn[];
  /** What an address becomes; others stay as they are. */
  readonly addresses?: Readonly<Record<string, string>>;
};

/** What becomes of one resource: created anew, or left to the one that is mapped to. */
export type RestoreAction = {
  /** Where it is in the graph. */
  readonly position: number;
  /** The original. */
  readonly resource: Resource;
  /** What stands for it; null where it is created. */
  readonly standIn: ResourceKey | null;
  /** True where it was not chosen, but something that was depends on it. */
  readonly added: boolean;
};

/** What a restore does. */
export type RestorePlan = {
  /** What becomes of each resource, dependencies first. */
  readonly actions: readonly RestoreAction[];
  /** What stands for resources that the checkpoint left out by choice. */
  readonly standIns: readonly StandIn[];
};

/**
 * What a restore does to each resource: to those that are chosen, or to all, with all they depend
 * on. What only a mapped resource depends on stays out: its stand-in has dependencies of its own.
 */
export function planRestore(
  graph: ResourceGraph,
  map: RestoreMap,
  chosen: readonly ResourceKey[] | null,
): RestorePlan {
  const mapped = new Map((map.resources ?? []).map(({ from, to }) => [describeKey(from), to]));
  const part = closure(graph, chosen ?? nobodyDependsOn(graph), (one) => mapped.has(describeKey(one)));
  const [inPart, added] = [new Set(part.positions), new Set(chosen === null ? [] : part.added)];
  const actions = [...graph.order].flatMap((position) => {
    const resource = graph.resources[position];
    if (resource === undefined || !inPart.has(position)) return [];
    const standIn = mapped.get(describeKey(resource)) ?? null;
    return { position, resource, standIn, added: added.has(position) };
  });
  const excluded = new Set(graph.excluded.map(describeKey));
  const standIns = (map.resources ?? []).filter(({ from }) => excluded.has(describeKey(from)));
  return { actions, standIns };
}

/** What no other resource of a graph depends on. */
export const nobodyDependsOn = (graph: ResourceGraph): readonly ResourceKey[] =>
  graph.resources.filter((_, position) => graph.dependants(position).length === 0);

/** Rejects with `NOT_AVAILABLE` unless the checkpoint has all that is to be created. */
export function assertRestorable(
  { commit, state, artifacts, missing }: OpenCheckpoint,
  { incomplete }: ResourceGraph,
  { actions }: Pick<RestorePlan, 'actions'>,
): void {
  const refuse = (why: string): FafnirError =>
    new FafnirError('NOT_AVAILABLE', `checkpoint ${commit.id} is ${state}${why}`);
  if (state === 'removed' || state === 'failed') throw refuse('');
  if (state === 'available') return;
  const reasons = new Map<string, string>();
  for (const { resource, volume } of artifacts)
    if (volume?.copies.length === 0) reasons.set(describeKey(resource), 'no copy of its volume is left');
  for (const { resource, error } of missing) reasons.set(describeKey(resource), error.message);
  for (const { resource, error } of incomplete) reasons.set(describeKey(resource), error.message);
  const lacking = actions.flatMap(({ resource, standIn }) => {
    const reason = standIn === null ? reasons.get(describeKey(resource)) : undefined;
    return reason === undefined ? [] : `${describeKey(resource)} (${reason})`;
  });
  if (lacking.length === 0) return;
  const others = lacking.length > NAMED ? ` and ${lacking.length - NAMED} more` : '';
  throw refuse(` and lacks ${lacking.slice(0, NAMED).join(', ')}${others}`);
}

/** What stands in the way of a restore to this destination, beside volumes that are overwritten. Without effects. */
export async function findGaps(
  { actions, standIns }: RestorePlan,
  destination: Provider,
  map: RestoreMap,
  { overwritten }: { readonly overwritten: number },
  call: CallOptions,
): Promise<readonly string[]> {
  const gaps: string[] = [];
  const unused = new Set((map.resources ?? []).map(({ from }) => describeKey(from)));
  const outside = standIns.map(({ from, to }) => ({ resource: from, standIn: to }));
  for (const { resource, standIn } of [...actions, ...outside]) {
    unused.delete(describeKey(resource));
    const name = describeKey(resource);
    if (standIn === null) {
      if (!destination.protectables.has(resource.type)) {
        gaps.push(`${destination.name} cannot create ${name}: it has no plugin for the type`);
      }
      continue;
    }
    if (standIn.type !== resource.type) {
      gaps.push(`${name} is mapped to ${describeKey(standIn)}, which is of another type`);
      continue;
    }
    const protectable = destination.protectables.get(standIn.type);
    const found = (await protectable?.find([standIn.id], call)) ?? [];
    if (protectable !== undefined) checkFound(found, protectable);
    if (!found.some(({ id }) => id === standIn.id)) {
      gaps.push(`${name} is mapped to ${describeKey(standIn)}, which ${destination.name} does not have`);
    }
  }
  if (overwritten === 0 && actions.every(({ standIn }) => standIn !== null))
    gaps.push('everything is mapped: nothing is to be restored');
  for (const name of unused) gaps.push(`${name} is mapped, but is not part of what is restored`);
  return gaps;
}
