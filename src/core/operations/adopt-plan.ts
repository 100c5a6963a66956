import type {
  ArraySnapshot,
  CallOptions,
  CheckpointId,
  OpenOptions,
  Provider,
  SnapshotCopy,
  StorageArray,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { joinParts } from '../identity.ts';
import { mapSettled } from '../map-settled.ts';
import { assertConsistency } from '../policy/consistency.ts';
import {
  adoptableOf,
  type Adoption,
  adoptedAs,
  adoptedSnapshots,
  identityOf,
  type SnapshotToAdopt,
} from './adoption.ts';
import { ArrayCopies, copyOf } from './array-copies.ts';
import {
  type ConsistencyGroup,
  type PlanningOptions,
  planSnapshots,
  type SnapshotPlan,
  type VolumeDecision,
  worthOf,
} from './protect-plan.ts';
import type { OperationServices } from './services.ts';
import type { SuppliedPlan, TakenSnapshot } from './snapshot-phases.ts';

const FINDS_AT_ONCE = 8;
const LIST_HINT = 'See what there is with session.snapshots.';

/** How an adoption is planned. */
export type AdoptionPlanning = Pick<PlanningOptions, 'remember' | 'onFailure' | 'policy'>;

/** What is looked for, and for whom. */
export interface AdoptionSearch extends AdoptionPlanning {
  /** Whose checkpoints are looked at. */
  readonly tenant: TenantId;
  /** The one that is being made; null where it is only previewed. */
  readonly checkpoint: CheckpointId | null;
  /** Has the arrays. */
  readonly provider: Provider;
  /** What is adopted. */
  readonly adoption: Adoption;
  /** Reads banks; a job tries again. */
  retry<Value>(read: () => Promise<Value>): Promise<Value>;
  /** Names the reading of a snapshot by a step, once it is journaled; a preview journals nothing. */
  reader?(array: string, step: string): Promise<string>;
}

/**
 * Plans a checkpoint of snapshots that there are. Nobody is paused, and what belongs together is worth a crash at best: no
 * array tells who took its snapshots how. `NOT_FOUND` where a snapshot is named of a volume that the plan does not have.
 */
export async function planAdoption(
  graph: ResourceGraph,
  provider: Provider,
  adoption: Adoption,
  how: AdoptionPlanning,
  call: CallOptions,
): Promise<SnapshotPlan> {
  const named = byVolume(adoption);
  const strangers = new Map(named);
  let unnamed = 0;
  const decide: PlanningOptions['decide'] = ({ array, id }) => {
    const place = joinParts(array, id);
    const wanted = named.get(place);
    strangers.delete(place);
    if (wanted !== undefined) return adoptedAs(`snapshot ${wanted.name} was made by others`);
    unnamed += 1;
    throw new FafnirError('NO_SNAPSHOT', `no snapshot of volume ${id} on array ${array} is named`, {
      hint: 'Name a snapshot of each volume of the plan, or leave the volume out of the plan.',
    });
  };
  const { groups, failures } = await planSnapshots(graph, provider, { ...how, decide }, call);
  const [stranger] = strangers.values();
  // Of a resource that cannot be read nobody knows the volume.
  if (stranger !== undefined && failures.size === unnamed) {
    const { array, volume, name } = stranger;
    throw new FafnirError(
      'NOT_FOUND',
      `snapshot ${name}: the plan has no volume ${volume} on array ${array}`,
    );
  }
  return { groups: groups.map(asFound), failures };
}

const asFound = ({ calls }: ConsistencyGroup): ConsistencyGroup => ({
  pausable: [],
  calls: calls.map((one) => ({ ...one, consistency: one.consistency === 'none' ? 'none' : 'crash' })),
});

const byVolume = ({ snapshots }: Adoption): ReadonlyMap<string, SnapshotToAdopt> =>
  new Map(snapshots.map((one) => [joinParts(one.array, one.volume), one]));

/**
 * Finds what is to be adopted. Without effects; what arrays say is asked through `remember`, so that a resumed job adopts
 * the same. What is not there, not whole, not as it was listed, of another size than its volume, or adopted by
 * another checkpoint, is a failure of its volume: the first one rejects, unless it is to `continue`.
 */
export async function findAdopted(
  services: OperationServices,
  request: AdoptionSearch,
  planned: SnapshotPlan,
  call: CallOptions,
): Promise<SuppliedPlan> {
  const { tenant, checkpoint, provider, adoption, remember, onFailure, policy } = request;
  const found = new Map<VolumeDecision, SnapshotCopy>();
  const failures = new Map(planned.failures);
  const fail = (error: unknown, ...volumes: readonly VolumeDecision[]): void => {
    call.signal.throwIfAborted();
    if (onFailure === 'fail') throw error;
    for (const volume of volumes) {
      failures.set(volume.position, error);
      found.delete(volume);
    }
  };
  const named = byVolume(adoption);
  const finder = new Finder(provider, call);
  const find = async (one: VolumeDecision): Promise<void> => {
    const wanted = named.get(joinParts(one.volume.array, one.volume.id));
    if (wanted === undefined) return;
    try {
      const step = `adopt/${describeKey(one.resource)}`;
      const token = await request.reader?.(one.volume.array, step);
      found.set(
        one,
        await remember(step, () => finder.find(one, wanted, token === undefined ? {} : { token })),
      );
    } catch (error) {
      fail(error, one);
    }
  };
  const members = planned.groups.flatMap(({ calls }) => calls.flatMap((of) => of.members));
  await mapSettled(members, find, { concurrency: FINDS_AT_ONCE, ...call });

  if (checkpoint !== null) await untilListed(services, tenant, call);
  const adopted = await request.retry(() => adoptedSnapshots(services, tenant, [...found.values()], call));
  for (const [one, copy] of [...found]) {
    const by = adopted.get(identityOf(adoptableOf(copy)));
    if (by !== undefined && by !== checkpoint) fail(alreadyAdopted(copy, by), one);
  }

  const taken = new Map<VolumeDecision, TakenSnapshot>();
  const groups = planned.groups.flatMap(({ calls }): readonly ConsistencyGroup[] => {
    const group = { pausable: [], calls: calls.flatMap((one) => onlyFound(one, found)) };
    const volumes = group.calls.flatMap((one) => one.members);
    try {
      for (const { consistency } of group.calls)
        assertConsistency(policy, { ...worthOf(group), consistency });
    } catch (error) {
      fail(error, ...volumes);
      return [];
    }
    const instants = volumes.map((one) => Date.parse(found.get(one)?.takenAt ?? ''));
    const skew = Math.max(...instants) - Math.min(...instants);
    for (const { consistency, members: ofCall } of group.calls) {
      for (const one of ofCall) {
        const copy = found.get(one);
        if (copy !== undefined) taken.set(one, { copy, consistency, skew, owners: [] });
      }
    }
    return volumes.length === 0 ? [] : [group];
  });
  return {
    planned: { groups, failures },
    supply: { phases: () => [], taken: (decision) => taken.get(decision), pauseOf: () => null },
  };
}

function onlyFound<Call extends ConsistencyGroup['calls'][number]>(
  one: Call,
  found: ReadonlyMap<VolumeDecision, SnapshotCopy>,
): readonly Call[] {
  const members = one.members.filter((member) => found.has(member));
  return members.length === 0 ? [] : [{ ...one, members }];
}

// What was committed a moment ago may still have to come into lists; who commits from now on waits for this job.
async function untilListed(services: OperationServices, tenant: TenantId, call: CallOptions): Promise<void> {
  const delays = services.vaults(tenant).map(({ bank }) => bank.capabilities.listingDelay);
  await services.clock.sleep(Math.max(...delays), call);
}

const alreadyAdopted = ({ volume, location, takenAt }: SnapshotCopy, by: CheckpointId): FafnirError =>
  new FafnirError(
    'ALREADY_EXISTS',
    `the snapshot of volume ${volume.id} on array ${location} of ${takenAt} was adopted by checkpoint ${by}`,
    { hint: 'Use that checkpoint; one that was adopted to be taken is never adopted again.' },
  );

/** Looks for snapshots; for volumes whose snapshots share a name, which may cost an array much, it asks once. */
class Finder {
  readonly #copies: ArrayCopies;
  readonly #call: CallOptions;
  readonly #asked = new Map<string, Promise<readonly ArraySnapshot[]>>();

  constructor(provider: Provider, call: CallOptions) {
    this.#copies = new ArrayCopies(provider);
    this.#call = call;
  }

  async find(
    { volume }: VolumeDecision,
    wanted: SnapshotToAdopt,
    options: OpenOptions,
  ): Promise<SnapshotCopy> {
    const array = this.#copies.array(volume.array);
    const found = (await this.#ask(array, wanted.name)).find((one) => one.volume.id === volume.id);
    const what = `snapshot ${wanted.name} of volume ${volume.id} on array ${array.name}`;
    if (found === undefined) throw new FafnirError('NO_SNAPSHOT', `there is no ${what}`, { hint: LIST_HINT });
    const { takenAt, size } = { takenAt: found.takenAt, size: found.volume.size, ...wanted };
    if (takenAt !== found.takenAt || size !== found.volume.size) {
      const message = `${what} is another now: of ${found.takenAt}, with ${found.volume.size} bytes`;
      throw new FafnirError('DRIFTED', message, { hint: LIST_HINT });
    }
    // What is known of the volume is of now, and so it would be made again with the size that it has now.
    if (found.volume.size !== volume.size) {
      const message = `${what} has ${found.volume.size} bytes, and the volume has ${volume.size} now`;
      throw new FafnirError('UNSUPPORTED', message, {
        hint: 'Adopt snapshots that were made since the volume has its size.',
      });
    }
    await this.#open(array, found, what, options);
    return copyOf(array, found);
  }

  #ask(array: StorageArray, name: string): Promise<readonly ArraySnapshot[]> {
    const key = joinParts(array.name, name);
    const asked = this.#asked.get(key) ?? array.find(name, this.#call);
    this.#asked.set(key, asked);
    // Whoever tries again asks again.
    asked.catch(() => this.#asked.delete(key));
    return asked;
  }

  // One that is half done can be found, and is none.
  async #open(
    array: StorageArray,
    snapshot: ArraySnapshot,
    what: string,
    options: OpenOptions,
  ): Promise<void> {
    try {
      const source = await array.open(snapshot, options, this.#call);
      await source.close();
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      throw new FafnirError('NO_SNAPSHOT', `${what} cannot be opened`, { cause: error, hint: LIST_HINT });
    }
  }
}
