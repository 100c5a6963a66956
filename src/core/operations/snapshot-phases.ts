import type { Consistency } from '../archive/artifacts.ts';
import type { Provider, Resource, SnapshotCopy, SnapshotPolicy } from '../contracts/index.ts';
import { holdingSets } from '../graph/holding-sets.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';
import type { WalkCall, WalkPhase } from '../graph/walk-phase.ts';
import { joinParts } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { assertConsistency } from '../policy/consistency.ts';
import type { CallLimit, Limiter } from '../policy/limiter.ts';
import { ArrayCopies } from './array-copies.ts';
import { Pauses } from './pauses.ts';
import { Places } from './places.ts';
import {
  type ConsistencyGroup,
  type SnapshotCall,
  type SnapshotPlan,
  type VolumeDecision,
  worthOf,
} from './protect-plan.ts';
import { effectName } from './tokens.ts';

const SNAPSHOT = 'snapshot';

/** A snapshot that was taken. */
export interface TakenSnapshot {
  /** The array copy. */
  readonly copy: SnapshotCopy;
  /** What was achieved. */
  readonly consistency: Consistency;
  /** From the first to the last instant of its group, in milliseconds. */
  readonly skew: number;
  /** What was to be paused for it. */
  readonly owners: readonly Resource[];
}

/** How a job comes by the snapshots of its volumes: it takes them, or others did before. */
export interface SnapshotSupply {
  /** To be walked in this order, before others. */
  phases(): readonly WalkPhase[];
  /** The snapshot of a volume, once there is one. */
  taken(decision: VolumeDecision): TakenSnapshot | undefined;
  /** How long a pause for the snapshot lasted, in milliseconds, once it is over; null where there was none. */
  pauseOf(taken: TakenSnapshot): number | null;
}

/** What a job's walk works on. */
export interface SuppliedPlan {
  /** The volumes that may get snapshots, and why others do not. */
  readonly planned: SnapshotPlan;
  /** Where those come from. */
  readonly supply: SnapshotSupply;
}

/** What the snapshots of a job are taken with. */
export interface SnapshotRequest {
  /** What is protected. */
  readonly graph: ResourceGraph;
  /** What is snapshot together. */
  readonly groups: readonly ConsistencyGroup[];
  /** The provider, whose calls go before others: somebody is paused while they wait. */
  readonly provider: Provider;
  /** Whose names the snapshots bear. */
  readonly installation: string;
  /** Counts, over all jobs, the groups that are being snapshot on each array. */
  readonly snapshots: Limiter;
  /** What was decided for the run. */
  readonly policy: SnapshotPolicy;
  /** How long each pause may last, in milliseconds. */
  readonly pauseMilliseconds: number;
}

/** A call that takes snapshots. */
interface Taking {
  /** Resolves once its volumes may be written to again; never where it fails before. */
  readonly instant: Promise<void>;
  /** The snapshots, found again on the array. */
  readonly made: Promise<readonly SnapshotCopy[]>;
}

/** The calls of a group whose volumes may be written to again. */
interface GroupTaking {
  /** What each call made. */
  readonly made: Promise<readonly (readonly SnapshotCopy[])[]>;
  /** What was to be paused. */
  readonly owners: readonly Resource[];
  /** Whether it was. */
  readonly isKept: boolean;
}

/**
 * The phases of a walk that pause, take snapshots, end the pauses and prove the snapshots. Before the first pause of a
 * set of groups is begun, there is room for all of their snapshots on their arrays; so nobody is paused while other
 * groups take theirs.
 */
export class Snapshots implements SnapshotSupply {
  readonly #context: OperationContext;
  readonly #request: SnapshotRequest;
  readonly #pauses: Pauses;
  readonly #places: Places;
  readonly #sets: Uint32Array;
  readonly #groupOf = new Map<number, number>();
  readonly #entered = new Set<number>();
  readonly #ofEarlierWorkers: ReadonlySet<string>;
  readonly #takings = new Map<number, GroupTaking>();
  readonly #taken = new Map<VolumeDecision, TakenSnapshot>();

  constructor(context: OperationContext, request: SnapshotRequest) {
    const { graph, groups, provider, pauseMilliseconds } = request;
    this.#context = context;
    this.#request = request;
    this.#ofEarlierWorkers = new Set(context.intents().filter(isSnapshot));
    this.#pauses = new Pauses(context, provider, pauseMilliseconds);
    for (const [group, { pausable }] of groups.entries())
      for (const position of pausable) this.#groupOf.set(position, group);
    const positions = groups.map(positionsOf);
    this.#sets = holdingSets(graph, positions, (position) => this.#groupOf.has(position));
    this.#places = new Places(request.snapshots, placesOf(request, this.#sets));
  }

  phases(): readonly WalkPhase[] {
    const { graph, groups } = this.#request;
    return [
      {
        name: 'begin',
        order: 'dependants-first',
        takesPart: (position) => this.#groupOf.has(position),
        run: (position, call) => this.#begin(position, graph.resources[position], call),
      },
      {
        name: SNAPSHOT,
        groups: groups.map(positionsOf),
        run: (group, call) => this.#take(group, groups[group], call),
      },
      {
        name: 'finish',
        ends: 'begin',
        order: 'dependencies-first',
        run: (position) => this.#end(position, graph.resources[position]),
      },
      {
        name: 'prove',
        // So that no call is left under way, whatever failed meanwhile.
        ends: SNAPSHOT,
        groups: groups.map(positionsOf),
        run: (group) => this.#prove(group, groups[group]),
      },
    ];
  }

  taken(decision: VolumeDecision): TakenSnapshot | undefined {
    return this.#taken.get(decision);
  }

  pauseOf({ owners }: TakenSnapshot): number | null {
    return this.#pauses.longest(owners);
  }

  #setOf(group: number): number {
    return this.#sets[group] ?? group;
  }

  async #begin(position: number, owner: Resource | undefined, { stopping }: WalkCall): Promise<void> {
    const group = this.#groupOf.get(position);
    if (group === undefined || owner === undefined) return;
    await this.#places.enter(this.#setOf(group), { signal: stopping });
    this.#entered.add(position);
    await this.#pauses.begin(owner);
  }

  async #end(position: number, owner: Resource | undefined): Promise<void> {
    const group = this.#groupOf.get(position);
    if (group === undefined || owner === undefined || !this.#entered.delete(position)) return;
    try {
      await this.#pauses.end(owner);
    } finally {
      this.#places.leave(this.#setOf(group));
    }
  }

  async #take(group: number, of: ConsistencyGroup | undefined, { stopping }: WalkCall): Promise<void> {
    if (of === undefined) return;
    const set = this.#setOf(group);
    await this.#places.enter(set, { signal: stopping });
    const calls = of.calls.map((one) => this.#takeCall(one));
    const made = allEnded(calls.map((one) => one.made));
    // It may fail before anybody waits for it.
    made.catch(() => undefined);
    try {
      await Promise.race([made, Promise.all(calls.map(({ instant }) => instant))]);
    } catch (error) {
      this.#places.leave(set);
      throw error;
    }
    const owners = of.pausable.flatMap((position) => this.#request.graph.resources[position] ?? []);
    this.#takings.set(group, { made, owners, isKept: this.#pauses.snapshotsTaken(owners) });
  }

  async #prove(group: number, of: ConsistencyGroup | undefined): Promise<void> {
    const taking = this.#takings.get(group);
    if (of === undefined || taking === undefined) return;
    this.#takings.delete(group);
    try {
      this.#keep(of, taking, await taking.made);
    } finally {
      // Not before: until then the array has calls under way that whoever is paused would have to wait for.
      this.#places.leave(this.#setOf(group));
    }
  }

  #keep(
    of: ConsistencyGroup,
    { owners, isKept }: GroupTaking,
    made: readonly (readonly SnapshotCopy[])[],
  ): void {
    const instants = made.flat().map(({ takenAt }) => Date.parse(takenAt));
    const skew = Math.max(...instants) - Math.min(...instants);
    for (const [at, { members, consistency }] of of.calls.entries()) {
      for (const [member, decision] of members.entries()) {
        const copy = made[at]?.[member];
        if (copy === undefined) continue;
        const achieved = isKept ? 'application' : consistency;
        assertConsistency(this.#request.policy, { ...worthOf(of), consistency: achieved });
        this.#taken.set(decision, { copy, consistency: achieved, skew, owners });
      }
    }
  }

  #takeCall({ array, members, consistency }: SnapshotCall): Taking {
    const [first] = members;
    if (first === undefined) return { instant: Promise.resolve(), made: Promise.resolve([]) };
    const step = joinParts(SNAPSHOT, array, first.resource.type, first.resource.id);
    const sources = members.map(({ volume }) => ({ volume, proof: 'stored' }) as const);
    const { promise: instant, resolve: taken } = Promise.withResolvers<void>();
    const group = consistency === 'group';
    let isFirst = !this.#ofEarlierWorkers.has(step);
    const made = this.#context.effect(
      step,
      (call) => {
        const how = { ...call, progress: (): undefined => undefined, isFirst, taken, group };
        isFirst = false;
        const { provider, installation } = this.#request;
        const name = effectName(installation, this.#context.job, step);
        return new ArrayCopies(provider).create(sources, name, how);
      },
      sources,
    );
    made.then(
      () => taken(),
      () => undefined,
    );
    return { instant, made };
  }
}

// A resource can hold volumes and be one.
const positionsOf = ({ pausable, calls }: ConsistencyGroup): readonly number[] => [
  ...new Set([...pausable, ...calls.flatMap(({ members }) => members.map(({ position }) => position))]),
];

// A set calls several groups' arrays; on each it counts as one, however many groups of it lie there.
function placesOf(
  { groups, provider }: SnapshotRequest,
  sets: Uint32Array,
): (set: number) => readonly CallLimit[] {
  const limits = new Map<number, Map<string, CallLimit>>();
  for (const [group, { calls }] of groups.entries()) {
    const set = sets[group] ?? group;
    const ofSet = limits.get(set) ?? new Map<string, CallLimit>();
    limits.set(set, ofSet);
    for (const { array, concurrency } of calls)
      ofSet.set(array, { name: joinParts(provider.name, array), limit: concurrency });
  }
  return (set) => [...(limits.get(set)?.values() ?? [])];
}

/** Whether a step takes snapshots. */
export const isSnapshot = (step: string): boolean => step.startsWith(`${SNAPSHOT}/`);

/** What all came to; where one fails, not before the others have ended. */
async function allEnded<Value>(running: readonly Promise<Value>[]): Promise<readonly Value[]> {
  await Promise.allSettled(running);
  return Promise.all(running);
}
