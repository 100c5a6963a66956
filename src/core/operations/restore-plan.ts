import type { Artifact } from '../archive/artifacts.ts';
import type { OpenCheckpoint } from '../archive/catalog.ts';
import type { Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
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
  /** What names become that are no resources, by kind, such as `flavor`; others stay as they are. */
  readonly names?: Readonly<Record<string, Readonly<Record<string, string>>>>;
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

/** Gives what a checkpoint has of a resource; `CORRUPT` where that is nothing. */
export function artifactsIn({
  artifacts,
}: Pick<OpenCheckpoint, 'artifacts'>): (resource: ResourceKey) => Artifact {
  const known = new Map(artifacts.map((artifact) => [describeKey(artifact.resource), artifact]));
  return (resource) => {
    const artifact = known.get(describeKey(resource));
    if (artifact !== undefined) return artifact;
    throw new FafnirError('CORRUPT', `the checkpoint has nothing of ${describeKey(resource)}`);
  };
}
