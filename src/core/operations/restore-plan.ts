import type { CallOptions, Provider, Resource, ResourceKey } from '../contracts/index.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';

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
  /** The original. */
  readonly resource: Resource;
  /** What stands for it; null where it is created. */
  readonly standIn: ResourceKey | null;
};

/**
 * What a restore does to each resource, dependencies first. What only a mapped resource depends on stays out: its
 * stand-in has dependencies of its own.
 */
export function planRestore(graph: ResourceGraph, map: RestoreMap): readonly RestoreAction[] {
  const mapped = new Map((map.resources ?? []).map(({ from, to }) => [describeKey(from), to]));
  const isDependency = new Uint8Array(graph.resources.length);
  for (const target of graph.edges.to) isDependency[target] = 1;
  const needed = new Set<number>();
  const actions: RestoreAction[] = [];
  for (const position of graph.order.toReversed()) {
    const resource = graph.resources[position];
    if (resource === undefined || (isDependency[position] === 1 && !needed.has(position))) continue;
    const standIn = mapped.get(describeKey(resource)) ?? null;
    actions.push({ resource, standIn });
    if (standIn === null) for (const target of graph.dependencies(position)) needed.add(target);
  }
  return actions.reverse();
}

/** What stands in the way of a restore to this destination, as sentences. Without effects. */
export async function findGaps(
  actions: readonly RestoreAction[],
  destination: Provider,
  map: RestoreMap,
  call: CallOptions,
): Promise<readonly string[]> {
  const gaps: string[] = [];
  const unused = new Set((map.resources ?? []).map(({ from }) => describeKey(from)));
  for (const { resource, standIn } of actions) {
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
    const found = (await destination.protectables.get(standIn.type)?.find([standIn.id], call)) ?? [];
    if (!found.some(({ id }) => id === standIn.id)) {
      gaps.push(`${name} is mapped to ${describeKey(standIn)}, which ${destination.name} does not have`);
    }
  }
  for (const name of unused) gaps.push(`${name} is mapped, but is not part of what is restored`);
  return gaps;
}
