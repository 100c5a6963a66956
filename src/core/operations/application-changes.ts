import { isDamage } from '../archive/records.ts';
import {
  type ChangeLists,
  type CommittedChanges,
  getChanges,
  type NamedResource,
  type NotCompared,
  putChanges,
} from '../archive/stored-changes.ts';
import { getResources } from '../archive/stored-graph.ts';
import type { Commit } from '../archive/checkpoint.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId, Resource } from '../contracts/index.ts';
import { compareKeys, type ResourceGraph } from '../graph/resource-graph.ts';

/** What joined and what left an application since an earlier checkpoint of its plan; resources are told by (type, id). */
export type ApplicationChanges =
  | {
      /** Compared with none. */
      readonly since: null;
      /** Why. */
      readonly reason: NotCompared;
    }
  | {
      /** The newest earlier checkpoint of the plan that had the whole application and could be read. */
      readonly since: CheckpointId;
      /** Resources that it does not have, ascending by (type, id). */
      readonly joined: readonly NamedResource[];
      /** Resources that only it has, as they were, ascending by (type, id). */
      readonly left: readonly NamedResource[];
    };

/** The earlier checkpoints that an application can be compared with. */
export type EarlierApplications = {
  /** Those that had the whole application when they were made, and were not removed; the newest discovery first. */
  readonly newestFirst: readonly Pick<Commit, 'id' | 'graph'>[];
  /** Whether there is one of which nothing can be read. */
  readonly damaged: boolean;
};

// One that is older than so many damaged ones says little of what changed.
const LOOKED_AT = 10;

type Found =
  | Extract<ApplicationChanges, { readonly since: null }>
  | (ChangeLists & { readonly since: CheckpointId });

/** Compares an application with what a plan protected before, and keeps the lists in the bank, for the commit. */
export async function recordChanges(
  vault: Vault,
  checkpoint: CheckpointId,
  graph: ResourceGraph,
  earlier: EarlierApplications,
  call: CallOptions,
): Promise<CommittedChanges> {
  const found = await compare(vault, graph, earlier, call);
  if (found.since === null) return found;
  const { since, joined, left } = found;
  const lists = await putChanges(vault, checkpoint, found, call);
  return { since, joined: joined.length, left: left.length, lists };
}

/** What a checkpoint that is made now would say. */
export async function previewChanges(
  vault: Vault,
  graph: ResourceGraph,
  earlier: EarlierApplications,
  call: CallOptions,
): Promise<ApplicationChanges> {
  const found = await compare(vault, graph, earlier, call);
  if (found.since === null) return found;
  const { since, joined, left } = found;
  return { since, joined: joined.flatMap((at) => named(graph.resources[at])), left };
}

/** What a checkpoint says; undefined where it was made by a version that did not look. */
export async function openChanges(
  vault: Vault,
  { id, graph, changes }: Pick<Commit, 'id' | 'graph' | 'changes'>,
  call: CallOptions,
): Promise<ApplicationChanges | undefined> {
  if (changes === undefined || changes.since === null) return changes;
  const { joined: positions, left } = await getChanges(vault, id, changes, graph.count, call);
  const joined: NamedResource[] = [];
  let [position, next] = [0, 0];
  for await (const resource of positions.length > 0 ? getResources(vault, id, graph, call) : []) {
    if (positions[next] === position) {
      joined.push(...named(resource));
      next += 1;
    }
    position += 1;
  }
  return { since: changes.since, joined, left };
}

async function compare(
  vault: Vault,
  graph: ResourceGraph,
  { newestFirst, damaged }: EarlierApplications,
  call: CallOptions,
): Promise<Found> {
  // What was not found need not have left.
  if (graph.incomplete.length > 0) return { since: null, reason: 'incomplete' };
  for (const { id, graph: pointer } of newestFirst.slice(0, LOOKED_AT)) {
    try {
      return { since: id, ...(await changesIn(getResources(vault, id, pointer, call), graph)) };
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return { since: null, reason: newestFirst.length > 0 || damaged ? 'unreadable' : 'none' };
}

// Both ascend, so that of the earlier one a segment is in memory at a time.
async function changesIn(
  earlier: AsyncIterable<Resource>,
  { resources }: ResourceGraph,
): Promise<ChangeLists> {
  const joined: number[] = [];
  const left: NamedResource[] = [];
  let at = 0;
  for await (const was of earlier) {
    let side = sideOf(resources[at], was);
    for (; side < 0; side = sideOf(resources[at], was)) joined.push(at++);
    if (side > 0) left.push(...named(was));
    else at += 1;
  }
  for (; at < resources.length; at += 1) joined.push(at);
  return { joined, left };
}

// A list that has ended comes after all that is left of the other.
const sideOf = (is: Resource | undefined, was: Resource): number =>
  is === undefined ? 1 : compareKeys(is, was);

const named = (resource: Resource | undefined): readonly NamedResource[] =>
  resource === undefined ? [] : [{ type: resource.type, id: resource.id, name: resource.name }];
