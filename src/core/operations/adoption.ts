import { everyCopy, listCommits, type OpenCheckpoint } from '../archive/catalog.ts';
import type { AdoptedSnapshots } from '../archive/checkpoint.ts';
import type { CallOptions, CheckpointId, PlanRecord, SnapshotCopy, TenantId } from '../contracts/index.ts';
import { joinParts } from '../identity.ts';
import { BUILT_IN_POLICY } from '../policy/cascade.ts';
import { snapshotNameOf } from './array-copies.ts';
import { openUnlessDamaged } from './change-bases.ts';
import { arrayCopiesOf } from './copies.ts';
import { discoverPlan } from './discover-plan.ts';
import { planSnapshots, type Remember, type VolumeDecision } from './protect-plan.ts';
import type { OperationServices } from './services.ts';
import { NAME_PREFIX } from './tokens.ts';

/** A snapshot of a volume that others made, as its array tells of it. */
export type AdoptableSnapshot = {
  /** The array's name. */
  readonly array: string;
  /** The array's id of the volume. */
  readonly volume: string;
  /** The snapshot's name; its maker may give it to another later. */
  readonly name: string;
  /** Its instant, ISO 8601 in UTC. */
  readonly takenAt: string;
  /** Bytes of the volume at that instant. */
  readonly size: number;
};

/** Names the snapshot of a volume that is to be adopted. */
export type SnapshotToAdopt = Pick<AdoptableSnapshot, 'array' | 'volume' | 'name'> & {
  /** Where given, another snapshot that has the name by now is refused with `DRIFTED`. */
  readonly takenAt?: string;
  /** The same. */
  readonly size?: number;
};

/** What is adopted, and on which terms. */
export type Adoption = Pick<AdoptedSnapshots, 'ownership'> & {
  /** One for each volume. */
  readonly snapshots: readonly SnapshotToAdopt[];
};

/** What is decided for every volume whose snapshot is adopted: it stays, and nothing is made from it before it is asked for. */
export const adoptedAs = (reason: string): Pick<VolumeDecision, 'strategy' | 'copies'> => ({
  strategy: { name: 'adopted', reason },
  copies: { required: ['array'], background: [], proof: 'stored', keep: 'all' },
});

/** What tells a snapshot from all others, also from one that had its name before. */
export const identityOf = ({ array, volume, name, takenAt }: Omit<AdoptableSnapshot, 'size'>): string =>
  joinParts(array, volume, name, takenAt);

/** A copy that is a snapshot on an array, as one that can be adopted. */
export const adoptableOf = (copy: SnapshotCopy): AdoptableSnapshot => ({
  array: copy.location,
  volume: copy.volume.id,
  name: snapshotNameOf(copy),
  takenAt: copy.takenAt,
  size: copy.volume.size,
});

/**
 * By identity, the snapshots that checkpoints of a tenant have adopted, and which did. Also those that one has adopted to
 * take and given up since: they are being removed, and must never be counted on again. With `among`, only checkpoints
 * that may have one of these are opened.
 */
export async function adoptedSnapshots(
  services: OperationServices,
  tenant: TenantId,
  among: readonly Pick<SnapshotCopy, 'takenAt'>[] | null,
  call: CallOptions,
): Promise<ReadonlyMap<string, CheckpointId>> {
  const adopted = new Map<string, CheckpointId>();
  const instants = among?.map(({ takenAt }) => Date.parse(takenAt));
  for (const vault of services.vaults(tenant)) {
    for await (const { id, adopted: known } of listCommits(vault, call)) {
      call.signal.throwIfAborted();
      if (known === undefined) continue;
      const [from, until] = [Date.parse(known.oldest), Date.parse(known.newest)];
      if (instants?.some((at) => from <= at && at <= until) === false) continue;
      // One that is damaged is restored by nobody, so what it counted on is free.
      const opened = await openUnlessDamaged(vault, id, call);
      for (const copy of opened === undefined ? [] : claimedBy(opened))
        adopted.set(identityOf(adoptableOf(copy)), id);
    }
  }
  return adopted;
}

// Of what was left to its makers nothing is removed, so it is free once it is given up; what was lost may be found again.
function claimedBy(opened: OpenCheckpoint): readonly SnapshotCopy[] {
  const { commit, state, lost, removedBy } = opened;
  const isTaken = commit.adopted?.ownership === 'take' && removedBy !== commit.job;
  const counted = [...arrayCopiesOf(opened), ...lost.map(({ copy }) => copy)];
  const claimed = isTaken ? everyCopy(opened) : state === 'removed' ? [] : counted;
  return claimed.filter(({ kind }) => kind === 'array');
}

/**
 * The snapshots that arrays have of a plan's volumes, that others made and that no checkpoint of the tenant has adopted, array
 * by array in ascending order of name. Also such that are half done, or of another size than the volume has now: those
 * cannot be adopted. Rejects as an adoption of the plan would where its volumes cannot be told.
 */
export async function* adoptableSnapshots(
  services: OperationServices,
  plan: PlanRecord,
  call: CallOptions,
): AsyncGenerator<AdoptableSnapshot> {
  call.signal.throwIfAborted();
  const provider = services.provider(plan.provider, plan.tenant);
  const remember: Remember = (_name, ask) => ask();
  const how = { remember, onFailure: plan.onFailure, policy: BUILT_IN_POLICY, decide: () => adoptedAs('') };
  const { groups } = await planSnapshots(await discoverPlan(plan, provider, call), provider, how, call);
  const volumes = groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members));
  const adopted = await adoptedSnapshots(services, plan.tenant, null, call);
  for (const [name, ofArray] of Map.groupBy(volumes, ({ volume }) => volume.array)) {
    const ids = new Set(ofArray.map(({ volume }) => volume.id));
    for await (const { name: snapshot, volume, takenAt } of provider.arrays.get(name)?.list('', call) ?? []) {
      call.signal.throwIfAborted();
      const found = { array: name, volume: volume.id, name: snapshot, takenAt, size: volume.size };
      const isOthers = !snapshot.startsWith(NAME_PREFIX) && !adopted.has(identityOf(found));
      if (ids.has(volume.id) && isOthers) yield found;
    }
  }
}
