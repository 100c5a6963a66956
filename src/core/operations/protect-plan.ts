import type { Consistency } from '../archive/artifacts.ts';
import { proofReaches } from '../archive/catalog.ts';
import type {
  ArrayCapabilities,
  CallOptions,
  CopyPlan,
  Json,
  Provider,
  Reservation,
  Resource,
  SnapshotPolicy,
  StorageArray,
  StrategyRequest,
  VolumeRef,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { mapSettled } from '../map-settled.ts';
import { assertConsistency, type Worth } from '../policy/consistency.ts';
import { protectableFor } from './services.ts';

const CALLS_AT_ONCE = 8;

/** A volume and what the strategies decided for it. */
export interface VolumeDecision {
  /** Where the resource is in the graph. */
  readonly position: number;
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
  /** Where in the graph the resources are that hold the volumes together and can be paused. */
  readonly pausable: readonly number[];
  /** One call for each array that a member lies on. */
  readonly calls: readonly SnapshotCall[];
}

/** What happens to the volumes of a graph. */
export interface SnapshotPlan {
  /** Volumes that are snapshot together. */
  readonly groups: readonly ConsistencyGroup[];
  /** By position, why nothing can be done for a volume. */
  readonly failures: ReadonlyMap<number, unknown>;
}

/** Remembers answers of plugins: a job's journal, or nothing where only a preview is made. */
export type Remember = <Value extends Json>(name: string, ask: () => Promise<Value>) => Promise<Value>;

/** How snapshots are planned. */
export interface PlanningOptions {
  /** How plugins are asked. */
  readonly remember: Remember;
  /** What becomes of the others where nothing can be done for a volume. */
  readonly onFailure: 'fail' | 'continue';
  /** What was decided for the run. */
  readonly policy: SnapshotPolicy;
  /**
   * Decides for a volume whose snapshot there is, or throws where nothing can be done for it. Default: snapshots are to be
   * taken, and the provider's strategies decide.
   */
  readonly decide?: (volume: VolumeRef) => Pick<VolumeDecision, 'strategy' | 'copies'>;
}

/**
 * Decides what happens to each volume of a graph. Without effects. What it asks of plugins it asks through
 * `remember`, so that a resumed job decides the same. Rejects with the first failure, unless it is to `continue`.
 */
export async function planSnapshots(
  graph: ResourceGraph,
  provider: Provider,
  { remember, onFailure, policy, decide }: PlanningOptions,
  call: CallOptions,
): Promise<SnapshotPlan> {
  const decisions = new Map<number, VolumeDecision>();
  const capabilities = new Map<string, ArrayCapabilities>();
  const failures = new Map<number, unknown>();
  const attempt = async (positions: readonly number[], work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      call.signal.throwIfAborted();
      if (onFailure === 'fail') throw error;
      for (const position of positions) failures.set(position, error);
    }
  };
  const withData = [...graph.resources.entries()].filter(
    ([, resource]) => protectableFor(provider, resource).volumes !== undefined,
  );
  const ways = new Map<number, readonly VolumeRef[]>();
  const ask = ([position, resource]: readonly [number, Resource]): Promise<void> =>
    attempt([position], async () => {
      const name = `volumes/${describeKey(resource)}`;
      ways.set(position, await remember(name, () => waysTo(resource, provider, call)));
    });
  await mapSettled(withData, ask, { concurrency: CALLS_AT_ONCE, signal: call.signal });
  for (const [position, resource] of withData) {
    if (failures.has(position)) continue;
    await attempt([position], async () => {
      const { volume, array } = reachable(resource, ways.get(position) ?? [], provider);
      const known =
        capabilities.get(volume.array) ??
        (await remember(`capabilities/${volume.array}`, async () => ({
          ...(await array.capabilities(call)),
        })));
      capabilities.set(volume.array, known);
      const { changeBase } = known;
      decisions.set(position, {
        position,
        resource,
        volume,
        ...(decide?.(volume) ?? byStrategy(provider, { volume, capabilities: known, policy })),
        changeBase,
      });
    });
  }
  // Of what others took no array says whether it took it as a group.
  const takes = decide === undefined;
  const consistent = new Map<Group, ConsistencyGroup>();
  const groups = consistencyGroups(graph, provider, decisions);
  const plan = (formed: Group): Promise<void> =>
    attempt(
      formed.members.map(({ position }) => position),
      async () => {
        const calls = splitByArray(formed.members, capabilities);
        const pausable = formed.owners.filter((owner) => canPause(graph.resources[owner], provider));
        const asked = takes ? await askForGroup(calls, provider, remember, call) : calls;
        const group: ConsistencyGroup = { pausable, calls: asked };
        for (const { consistency } of group.calls) {
          // What a pause would make of it; whether it held is known only afterwards.
          const expected = pausable.length > 0 ? 'application' : consistency;
          assertConsistency(policy, { ...worthOf(group), consistency: expected });
        }
        consistent.set(formed, group);
      },
    );
  await mapSettled(groups, plan, { concurrency: CALLS_AT_ONCE, signal: call.signal });
  return { groups: groups.flatMap((formed) => consistent.get(formed) ?? []), failures };
}

/** What a group is called where its snapshot is not worth what was asked for. */
export function worthOf({ calls }: ConsistencyGroup): Pick<Worth, 'what' | 'volumes'> {
  const volumes = calls.flatMap(({ members }) => members.map(({ resource }) => describeKey(resource)));
  return {
    what: volumes.slice(0, 8).join(', ') + (volumes.length > 8 ? ' and others' : ''),
    volumes: volumes.length,
  };
}

/** The size of volumes. */
export const bytesOf = (volumes: readonly VolumeDecision[]): number =>
  volumes.reduce((sum, { volume }) => sum + volume.size, 0);

/** What a checkpoint by this plan adds at most: an archive has at most the bytes of its volume, and a few beside them. */
export function reservationFor({ groups }: SnapshotPlan): Reservation {
  const members = groups.flatMap(({ calls }) => calls.flatMap((one) => one.members));
  const archived = members.filter(({ copies }) => copies.required.includes('archive'));
  return { checkpoints: 1, protected: bytesOf(members), stored: bytesOf(archived) };
}

async function waysTo(resource: Resource, provider: Provider, call: CallOptions): Promise<VolumeRef[]> {
  return [...((await protectableFor(provider, resource).volumes?.(resource, call)) ?? [])];
}

function reachable(
  resource: Resource,
  ways: readonly VolumeRef[],
  provider: Provider,
): { readonly volume: VolumeRef; readonly array: StorageArray } {
  for (const volume of ways) {
    const array = provider.arrays.get(volume.array);
    if (array !== undefined) return { volume, array };
  }
  const names = ways.map((way) => way.array).join(', ') || 'none';
  throw new FafnirError(
    'UNKNOWN_ARRAY',
    `${describeKey(resource)} is on array ${names}, which ${provider.name} lacks`,
  );
}

const canPause = (resource: Resource | undefined, provider: Provider): boolean =>
  resource !== undefined && protectableFor(provider, resource).quiescing !== undefined;

function byStrategy(
  provider: Provider,
  request: StrategyRequest,
): Pick<VolumeDecision, 'strategy' | 'copies'> {
  const { volume } = request;
  const refusals: string[] = [];
  for (const strategy of provider.strategies) {
    const { canHandle, reason } = strategy.canHandle(request);
    if (canHandle) {
      const copies = strategy.plan(request);
      assertSense(provider, strategy.name, copies);
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

// A host's own strategy may be wrong, and what it says is kept in checkpoints.
function assertSense(
  { name, copyStores }: Provider,
  strategy: string,
  { required, background, proof, keep, store }: CopyPlan,
): void {
  const archives = [...required, ...background].filter((kind) => kind === 'archive').length;
  const externals = required.filter((kind) => kind === 'external').length;
  const wrong = [
    required[0] !== 'array' && 'does not begin with an array copy',
    (required.length + background.length !== 1 + archives + externals || archives > 1 || externals > 1) &&
      'wants a kind of copy twice, or an external one in the background',
    archives + externals > 1 && 'wants both an archive and an external copy',
    externals > 0 !== (store !== undefined) &&
      'must name an external store exactly where it wants a copy there',
    store !== undefined &&
      copyStores?.has(store) !== true &&
      `wants the external store ${store}, which provider ${name} lacks`,
    keep !== 'all' && !(Number.isInteger(keep) && keep >= 0) && 'keeps a number of array copies that is none',
    keep !== 'all' && archives + externals === 0 && 'gives up array copies without an archive',
    keep !== 'all' &&
      externals > 0 &&
      !proofReaches(proof, 'source-compared') &&
      'gives up array copies for an external copy that is not compared',
    archives > 0 && !proofReaches(proof, 'read-back') && 'is content with an archive that is not read back',
  ].find((problem) => problem !== false);
  if (wrong !== undefined) throw new FafnirError('WRONG_ANSWER', `strategy ${strategy} ${wrong}`);
}

/** Members in order, and the resources that hold them together. */
type Group = { readonly members: readonly VolumeDecision[]; readonly owners: readonly number[] };

// Volumes that one resource holds together, its own among them, are one group; groups that share a volume are one.
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
  const ownerOf: [owner: number, member: number][] = [];
  for (const [position, resource] of graph.resources.entries()) {
    const { groupsVolumes, quiescing } = protectableFor(provider, resource);
    if (groupsVolumes === undefined && quiescing === undefined) continue;
    const held = groupsVolumes === true ? graph.dependencies(position) : [];
    const [first, ...others] = [position, ...held].filter((target) => decisions.has(target));
    if (first === undefined) continue;
    ownerOf.push([position, first]);
    for (const other of others) {
      const [a, b] = [leader(first), leader(other)];
      leaderOf.set(Math.max(a, b), Math.min(a, b));
    }
  }
  const groups = new Map<number, { members: VolumeDecision[]; owners: number[] }>();
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

/** The calls, of which the only one holds one instant where its array says so of just these volumes. */
async function askForGroup(
  calls: readonly SnapshotCall[],
  provider: Provider,
  remember: Remember,
  call: CallOptions,
): Promise<readonly SnapshotCall[]> {
  const [only, ...others] = calls;
  const array = provider.arrays.get(only?.array ?? '');
  if (only === undefined || others.length > 0 || array?.isGroup === undefined) return calls;
  const { members, consistency } = only;
  const [first, second] = members;
  if (first === undefined || second === undefined || consistency !== 'crash') return calls;
  const volumes = members.map(({ volume }) => volume);
  const ask = async (): Promise<boolean> => (await array.isGroup?.(volumes, call)) === true;
  const isGroup = await remember(`group/${describeKey(first.resource)}`, ask);
  return isGroup ? [{ ...only, consistency: 'group' }] : calls;
}
