import * as z from 'zod';
import type { ArraySnapshot, CallOptions, SnapshotOptions, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import { createLock } from '../lock.ts';
import type { Cinder } from './cinder.ts';
import type { PathKind } from './data-path.ts';
import { findGroup } from './groups.ts';
import { bytesOf, checkName, checkNewName, checkVolume, isCinderId, isName } from './names.ts';
import type { CinderSnapshot, CinderVolume, SnapshotOrigin } from './records.ts';
import { removePart } from './remove-parts.ts';
import { notOneInstant, takeSet } from './take-set.ts';
import { refuseEncrypted, type Volumes } from './volumes.ts';

/** What snapshots are taken with. */
export interface SnapshotTools {
  /** The array's name. */
  readonly array: string;
  /** The name of its volume type. */
  readonly volumeType: string;
  /** Where they are. */
  readonly cinder: Cinder;
  /** Whose they are. */
  readonly volumes: Pick<Volumes, 'find'>;
  /** How new ones are going to be read. */
  readonly path: PathKind;
  /** The names of the group types whose group snapshots hold one instant. */
  readonly groupTypes: readonly string[];
  /** Requests of one call at once. */
  readonly concurrency: number;
}

/** A snapshot as Cinder has it, and how it is to be read. */
export interface ResolvedSnapshot {
  /** The snapshot. */
  readonly snapshot: CinderSnapshot;
  /** As its reference tells. */
  readonly path: string;
}

/** The snapshots of an array; as the members of `StorageArray` of the same names. */
export interface Snapshots {
  /** As `StorageArray.isGroup`. */
  isGroup(volumes: readonly VolumeRef[], call: CallOptions): Promise<boolean>;
  /** As `StorageArray.snapshot`. */
  take(volumes: readonly VolumeRef[], name: string, call: SnapshotOptions): Promise<readonly ArraySnapshot[]>;
  /** As `StorageArray.find`. */
  find(name: string, call: CallOptions): Promise<readonly ArraySnapshot[]>;
  /** As `StorageArray.list`. */
  list(prefix: string, call: CallOptions): AsyncIterable<ArraySnapshot>;
  /** As `StorageArray.remove`; `sweep` removes what stands on the snapshot. */
  remove(
    snapshot: ArraySnapshot,
    sweep: (found: CinderSnapshot) => Promise<void>,
    call: CallOptions,
  ): Promise<void>;
  /** The snapshot as Cinder has it; `NOT_FOUND`, with its name, where it is gone. */
  resolve(snapshot: ArraySnapshot, call: CallOptions): Promise<ResolvedSnapshot>;
}

/** An id is never given again; a name may be. */
const reference = z.strictObject({ id: z.string().refine(isCinderId), path: z.string() });

/** Of several of one name and volume the best is told of: more than one may be there, since Cinder's names are not unique. */
const RANKS: Readonly<Record<SnapshotOrigin, number>> = { complete: 0, foreign: 1, partial: 2 };

/** The snapshots of the volumes of a type. */
export function createSnapshots(tools: SnapshotTools): Snapshots {
  const { array, volumeType, cinder, volumes, path, groupTypes, concurrency } = tools;
  const lock = createLock();

  const describe = ({ id, name, volumeId, gibibytes, takenAt }: CinderSnapshot): ArraySnapshot => ({
    name,
    volume: { array, id: volumeId, size: bytesOf(gibibytes) },
    reference: { id, path },
    takenAt,
  });

  /** Every snapshot of the name whose volume is of the array, also what was removed of group snapshots. */
  async function scan(name: string, call: CallOptions): Promise<readonly CinderSnapshot[]> {
    const found: CinderSnapshot[] = [];
    for await (const snapshot of cinder.snapshots({ name }, call)) {
      if (snapshot.name === name && snapshot.status !== 'deleting') found.push(snapshot);
    }
    const ids = [...new Set(found.map(({ volumeId }) => volumeId))];
    const areOwn = await mapSettled(ids, (id, _, signal) => isOwn(id, { signal }), { concurrency, ...call });
    const own = new Set(ids.filter((_, at) => areOwn[at]));
    return found.filter(({ volumeId }) => own.has(volumeId));
  }

  async function isOwn(volumeId: string, call: CallOptions): Promise<boolean> {
    try {
      return (await cinder.volume(volumeId, call)).type === volumeType;
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  async function volumesOf(
    wanted: readonly VolumeRef[],
    call: CallOptions,
  ): Promise<readonly CinderVolume[]> {
    call.signal.throwIfAborted();
    const find = (volume: VolumeRef, _: number, signal: AbortSignal): Promise<CinderVolume> =>
      volumes.find(volume, { signal });
    return await mapSettled(wanted, find, { concurrency, signal: call.signal });
  }

  function parse({ name, volume, reference: given }: ArraySnapshot): z.infer<typeof reference> {
    checkVolume(array, volume);
    const checked = reference.safeParse(given);
    if (checked.success) return checked.data;
    throw new FafnirError('INVALID_ID', `not a reference of array ${array}: snapshot ${name}`);
  }

  async function resolve(wanted: ArraySnapshot, call: CallOptions): Promise<ResolvedSnapshot> {
    const { id, path: chosen } = parse(wanted);
    call.signal.throwIfAborted();
    const found = await cinder.snapshot(id, call).catch((error: unknown) => {
      if (FafnirError.is(error, 'NOT_FOUND')) throw missing(wanted);
      throw error;
    });
    // What a reference says is checked like anything that comes from outside.
    const isGone = found.status === 'deleting' || found.isRemoved;
    if (isGone || found.volumeId !== wanted.volume.id) throw missing(wanted);
    if (found.status === 'creating' || found.status.startsWith('error')) {
      throw new FafnirError('BUSY', `snapshot ${found.name} is in the state ${found.status}`, {
        retryable: found.status === 'creating',
        hint: 'Wait until Cinder is done with it, or remove it where it failed.',
      });
    }
    await volumes.find(wanted.volume, call);
    return { snapshot: found, path: chosen };
  }

  return {
    isGroup: async (wanted, call) =>
      (await findGroup({ cinder, groupTypes }, await volumesOf(wanted, call), call)) !== undefined,
    resolve,
    async take(wanted, name, call) {
      call.signal.throwIfAborted();
      checkNewName(name);
      for (const volume of wanted) checkVolume(array, volume);
      if (wanted.length === 0) return [];
      return await lock(name, async () => {
        const ids = wanted.map(({ id }) => id);
        const members = await volumesOf(wanted, call);
        for (const member of members) refuseEncrypted(member);
        const present = call.isFirst === true ? [] : await scan(name, call);
        const groupNow = async (): Promise<string> => {
          const group = await findGroup({ cinder, groupTypes }, members, call);
          if (group !== undefined) return group;
          throw notOneInstant(
            `the volumes ${ids.join(', ')} are not the members of one group whose snapshots hold one instant`,
          );
        };
        const isGroup = call.group === true && wanted.length > 1;
        const set = { cinder, name, volumeIds: ids, present, concurrency };
        const taken = await takeSet({ ...set, ...(isGroup && { findGroup: groupNow }) }, call);
        return atOneInstant(taken).map(describe);
      });
    },
    async find(name, call) {
      checkName(name);
      call.signal.throwIfAborted();
      return standing(await scan(name, call)).map(describe);
    },
    async *list(prefix, call) {
      call.signal.throwIfAborted();
      const own = new Set<string>();
      for await (const { id, type } of cinder.volumes({}, call)) if (type === volumeType) own.add(id);
      const found: CinderSnapshot[] = [];
      // Cinder sorts names as people do, and not by their characters.
      for await (const snapshot of cinder.snapshots({}, call)) {
        const { name, volumeId, status } = snapshot;
        if (!isName(name) || !name.startsWith(prefix) || status === 'deleting') continue;
        if (own.has(volumeId)) found.push(snapshot);
      }
      for (const snapshot of standing(found)) {
        call.signal.throwIfAborted();
        yield describe(snapshot);
      }
    },
    async remove(wanted, sweep, call) {
      const { id } = parse(wanted);
      call.signal.throwIfAborted();
      let found: CinderSnapshot;
      try {
        found = await cinder.snapshot(id, call);
      } catch (error) {
        if (FafnirError.is(error, 'NOT_FOUND')) return;
        throw error;
      }
      if (found.volumeId !== wanted.volume.id) return;
      await volumes.find(wanted.volume, call);
      if (found.groupSnapshotId !== undefined && found.origin === 'foreign') {
        const message = `snapshot ${found.name} is a part of the group snapshot ${found.groupSnapshotId}`;
        throw new FafnirError('UNSUPPORTED', message, { hint: 'Remove the group snapshot.' });
      }
      await sweep(found);
      // Before the one that they are beside: until then a repeat knows that they are left over.
      for (const late of found.origin === 'foreign' ? [] : await scan(found.name, call)) {
        const isOurs = late.origin !== 'foreign' && !late.isRemoved;
        const isBeside = isOurs && late.volumeId === found.volumeId && late.id !== id;
        if (isBeside) await removePart(cinder, late, call);
      }
      await removePart(cinder, found, call);
    },
  };
}

const missing = ({ name, volume }: ArraySnapshot): FafnirError =>
  new FafnirError('NOT_FOUND', `there is no snapshot ${name} of ${volume.id}`);

/**
 * The same; the parts of a group snapshot of ours, which are all among them, are of when Cinder began with the first.
 */
function atOneInstant(found: readonly CinderSnapshot[]): readonly CinderSnapshot[] {
  const instants = new Map<string | undefined, string>();
  for (const { groupSnapshotId, origin, takenAt } of found) {
    const first = instants.get(groupSnapshotId) ?? takenAt;
    if (groupSnapshotId === undefined || origin === 'foreign') continue;
    instants.set(groupSnapshotId, takenAt < first ? takenAt : first);
  }
  return found.map((one) => ({ ...one, takenAt: instants.get(one.groupSnapshotId) ?? one.takenAt }));
}

/** What was not removed, one of each name and volume, in ascending order of name. */
function standing(found: readonly CinderSnapshot[]): readonly CinderSnapshot[] {
  const kept = atOneInstant(found).filter(({ isRemoved }) => !isRemoved);
  const sorted = kept.toSorted(
    (a, b) =>
      compare(a.name, b.name) ||
      compare(a.volumeId, b.volumeId) ||
      RANKS[a.origin] - RANKS[b.origin] ||
      // The same attempt for all volumes of a set.
      compare(a.attempt, b.attempt) ||
      compare(a.takenAt, b.takenAt) ||
      compare(a.id, b.id),
  );
  return sorted.filter(({ name, volumeId }, at) => {
    const before = sorted[at - 1];
    return before === undefined || before.name !== name || before.volumeId !== volumeId;
  });
}

const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);
