import type { Consistency } from '../archive/artifacts.ts';
import type {
  ArrayCapabilities,
  CallOptions,
  CopyPlan,
  Json,
  Provider,
  Resource,
  VolumeRef,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { protectableFor } from './services.ts';

/** A volume and what the strategies decided for it. */
export interface VolumeDecision {
  /** The data-bearing resource. */
  readonly resource: Resource;
  /** Its volume. */
  readonly volume: VolumeRef;
  /** Who decided, and why. */
  readonly strategy: { readonly name: string; readonly reason: string };
  /** The copies it gets. */
  readonly copies: CopyPlan;
  /** Whether its array can tell what changed since an older snapshot. */
  readonly changeBase: ArrayCapabilities['changeBase'];
}

/** Volumes that are snapshot by one call: the part of a consistency group that lies on one array. */
export interface SnapshotCall {
  /** The array's name. */
  readonly array: string;
  /** The members, in order. */
  readonly members: readonly VolumeDecision[];
  /** What the call achieves. */
  readonly consistency: Consistency;
  /** Calls that the array takes at once. */
  readonly concurrency: number;
}

/** Volumes that are snapshot together, and who can pause what writes to them. */
export interface ConsistencyGroup {
  /** The resources that hold the volumes together and can be paused. */
  readonly pausable: readonly Resource[];
  /** One call for each array that a member lies on. */
  readonly calls: readonly SnapshotCall[];
}

/** Remembers answers of plugins: a job's journal, or nothing where only a preview is made. */
export type Remember = <Value extends Json>(name: string, ask: () => Promise<Value>) => Promise<Value>;

/**
 * Decides what happens to each volume of a graph. Without effects. What it asks of plugins it asks through
 * `remember`, so that a resumed job decides the same.
 */
export async function planSnapshots(
  graph: ResourceGraph,
  provider: Provider,
  remember: Remember,
  call: CallOptions,
): Promise<readonly ConsistencyGroup[]> {
  const decisions = new Map<number, VolumeDecision>();
  const capabilities = new Map<string, ArrayCapabilities>();
  for (const [position, resource] of graph.resources.entries()) {
    const protectable = protectableFor(provider, resource);
    if (protectable.volumes === undefined) continue;
    const ways = await remember(`volumes/${describeKey(resource)}`, async () => [
      ...((await protectable.volumes?.(resource, call)) ?? []),
    ]);
    const volume = ways.find(({ array }) => provider.arrays.has(array));
    const array = provider.arrays.get(volume?.array ?? '');
    if (volume === undefined || array === undefined) {
      const names = ways.map((way) => way.array).join(', ') || 'none';
      throw new FafnirError(
        'UNKNOWN_ARRAY',
        `${describeKey(resource)} is on array ${names}, which ${provider.name} lacks`,
      );
    }
    const known =
      capabilities.get(volume.array) ??
      (await remember(`capabilities/${volume.array}`, async () => ({ ...(await array.capabilities(call)) })));
    capabilities.set(volume.array, known);
    decisions.set(position, {
      resource,
      volume,
      ...decide(provider, volume, known),
      changeBase: known.changeBase,
    });
  }
  return consistencyGroups(graph, provider, decisions).map(({ members, owners }) => ({
    pausable: owners.filter((owner) => protectableFor(provider, owner).quiescing !== undefined),
    calls: splitByArray(members, capabilities),
  }));
}

function decide(
  provider: Provider,
  volume: VolumeRef,
  capabilities: ArrayCapabilities,
): Pick<VolumeDecision, 'strategy' | 'copies'> {
  const refusals: string[] = [];
  for (const strategy of provider.strategies) {
    const { canHandle, reason } = strategy.canHandle({ volume, capabilities });
    if (canHandle) {
      const copies = strategy.plan({ volume, capabilities });
      if (copies.required[0] !== 'array') {
        throw new FafnirError('WRONG_ANSWER', `strategy ${strategy.name} does not begin with an array copy`);
      }
      return { strategy: { name: strategy.name, reason }, copies };
    }
    refusals.push(`${strategy.name}: ${reason}`);
  }
  const why = refusals.join('; ') || `provider ${provider.name} has no strategies`;
  throw new FafnirError(
    'NO_STRATEGY',
    `no strategy can handle volume ${volume.id} on ${volume.array}: ${why}`,
  );
}

/** Members in order, and the resources that hold them together. */
type Group = { readonly members: readonly VolumeDecision[]; readonly owners: readonly Resource[] };

// Volumes that one resource holds together are one group; groups that share a volume are one.
function consistencyGroups(
  graph: ResourceGraph,
  provider: Provider,
  decisions: ReadonlyMap<number, VolumeDecision>,
): readonly Group[] {
  const leaderOf = new Map<number, number>([...decisions.keys()].map((position) => [position, position]));
  const leader = (position: number): number => {
    let at = position;
    for (let next = leaderOf.get(at) ?? at; next !== at; next = leaderOf.get(at) ?? at) at = next;
    return at;
  };
  const ownerOf: [owner: Resource, member: number][] = [];
  for (const [position, resource] of graph.resources.entries()) {
    if (protectableFor(provider, resource).groupsVolumes !== true) continue;
    const [first, ...others] = graph.dependencies(position).filter((target) => decisions.has(target));
    if (first === undefined) continue;
    ownerOf.push([resource, first]);
    for (const other of others) {
      const [a, b] = [leader(first), leader(other)];
      leaderOf.set(Math.max(a, b), Math.min(a, b));
    }
  }
  const groups = new Map<number, { members: VolumeDecision[]; owners: Resource[] }>();
  for (const [position, decision] of decisions) {
    const group = groups.get(leader(position));
    if (group === undefined) groups.set(leader(position), { members: [decision], owners: [] });
    else group.members.push(decision);
  }
  for (const [owner, member] of ownerOf) groups.get(leader(member))?.owners.push(owner);
  return [...groups.values()];
}

function splitByArray(
  group: readonly VolumeDecision[],
  capabilities: ReadonlyMap<string, ArrayCapabilities>,
): readonly SnapshotCall[] {
  const arrays = new Set(group.map(({ volume }) => volume.array));
  return [...arrays].map((array) => {
    const members = group.filter(({ volume }) => volume.array === array);
    const able = capabilities.get(array);
    let consistency: Consistency = 'crash';
    if (able?.pointInTime !== true) consistency = 'none';
    else if (members.length > 1 && arrays.size === 1 && able.group) consistency = 'group';
    return { array, members, consistency, concurrency: able?.concurrency ?? 1 };
  });
}
