import type { CallOptions, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { createLock } from '../lock.ts';
import type { Attachments } from './attachments.ts';
import type { Cinder } from './cinder.ts';
import type { PathSnapshot } from './data-path.ts';
import { bytesOf, checkVolume, checkVolumeName, gibibytesOf, isNamedReader } from './names.ts';
import { type CinderSnapshot, type CinderVolume, KEYS } from './records.ts';

/** What the volumes of an array are told by. */
export interface VolumeSettings {
  /** The array's name. */
  readonly array: string;
  /** The name of the volume type, of which all of them are. */
  readonly volumeType: string;
  /** Where they are. */
  readonly cinder: Cinder;
  /** Takes from volumes what dead movers left. */
  readonly attachments: Pick<Attachments, 'release'>;
}

/** The volumes of an array. */
export interface Volumes {
  /** A volume as Cinder has it; `NOT_FOUND` where there is none, `UNKNOWN_ARRAY` where it is not of the type. */
  find(volume: VolumeRef, call: CallOptions): Promise<CinderVolume>;
  /** The same of a volume that nobody uses, once what a dead caller began or attached is over; others are `BUSY`. */
  findUnused(volume: VolumeRef, call: CallOptions): Promise<CinderVolume>;
  /** As `ArrayTarget.create`. */
  create(request: { readonly name: string; readonly size: number }, call: CallOptions): Promise<VolumeRef>;
  /** As `ArrayTarget.remove`. */
  remove(volume: VolumeRef, call: CallOptions): Promise<void>;
  /** As `StorageArray.clone`. */
  clone(snapshot: CinderSnapshot, name: string, call: CallOptions): Promise<VolumeRef>;
  /** As `StorageArray.revert`; by `rollBack` where that is given, and otherwise by Cinder, only to the latest snapshot. */
  revert(
    snapshot: CinderSnapshot,
    volume: VolumeRef,
    how: { readonly rollBack: (() => Promise<void>) | undefined },
    call: CallOptions,
  ): Promise<void>;
  /** A volume of a snapshot that is there for a while. */
  createTemporary(snapshot: PathSnapshot, call: CallOptions): Promise<CinderVolume>;
  /** Removes all that {@link Volumes.createTemporary} made for a reader. Resolves with what that was, for people. */
  removeTemporary(reader: string, call: CallOptions): Promise<readonly string[]>;
  /** Who with a token has such a volume of a snapshot. */
  readersOf(snapshotId: string, call: CallOptions): Promise<readonly string[]>;
}

/** A key of metadata and its value. */
type Mark = readonly [key: string, value: string];

/** What is wanted of a volume that is found or made. */
interface Wanted {
  readonly name: string;
  readonly gibibytes: number;
  readonly snapshotId?: string;
}

/** States that Cinder leaves by itself, in which only this package brings volumes that nobody uses. */
const PASSING = ['downloading', 'reverting', 'uploading'];

/** States of volumes that came to be, also while somebody attaches them. */
const THERE = ['attaching', 'available', 'in-use', 'reserved'];

/** The volumes of a type. */
export function createVolumes({ array, volumeType, cinder, attachments }: VolumeSettings): Volumes {
  const lock = createLock();

  /** Those that have the mark, whatever else Cinder finds. */
  async function marked(
    query: { readonly name: string } | { readonly metadata: string },
    [key, value]: Mark,
    call: CallOptions,
  ): Promise<CinderVolume[]> {
    const found: CinderVolume[] = [];
    for await (const volume of cinder.volumes(query, call)) {
      const isOurs = volume.type === volumeType && volume.metadata[key] === value;
      if (isOurs && volume.status !== 'deleting') found.push(volume);
    }
    return found;
  }

  /** Those that were asked for under the name, the oldest first; others may have the name, too. */
  async function named(name: string, call: CallOptions): Promise<CinderVolume[]> {
    const found = (await marked({ name }, [KEYS.name, name], call)).filter((volume) => volume.name === name);
    return found.sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id));
  }

  async function find(volume: VolumeRef, call: CallOptions): Promise<CinderVolume> {
    checkVolume(array, volume);
    const found = await cinder.volume(volume.id, call);
    if (found.type === volumeType) return found;
    const message = `volume ${found.id} is of the type ${found.type}, and array ${array} has those of ${volumeType}`;
    throw new FafnirError('UNKNOWN_ARRAY', message);
  }

  async function findUnused(ref: VolumeRef, call: CallOptions): Promise<CinderVolume> {
    const volume = await attachments.release(await find(ref, call), call);
    if (volume.status === 'available') return volume;
    if (PASSING.includes(volume.status)) return await cinder.awaitVolume(volume.id, call);
    throw new FafnirError(
      'BUSY',
      `volume ${volume.id} is in the state ${volume.status}, and cannot be written to`,
      { hint: 'Detach the volume first, or wait until Cinder is done with it.' },
    );
  }

  /** The volume that an earlier call made, once it is there; undefined where there is none, or none that came to be. */
  async function findMade(
    { name, gibibytes, snapshotId }: Wanted,
    call: CallOptions,
  ): Promise<string | undefined> {
    for (const volume of await named(name, call)) {
      if (isFailed(volume)) {
        await cinder.removeVolume(volume.id, call);
        continue;
      }
      if (volume.gibibytes !== gibibytes || volume.snapshotId !== snapshotId) {
        const from = volume.snapshotId === undefined ? '' : `, made from snapshot ${volume.snapshotId}`;
        const message = `volume ${name} exists with ${volume.gibibytes} GiB${from}`;
        throw new FafnirError('ALREADY_EXISTS', message);
      }
      const isThere = THERE.includes(volume.status);
      return isThere ? volume.id : (await cinder.awaitVolume(volume.id, call)).id;
    }
    return undefined;
  }

  /** Names are not unique: of two that were made at once, the older counts, and the other one goes. */
  async function make(wanted: Wanted, call: CallOptions): Promise<string> {
    const { name } = wanted;
    const metadata = { [KEYS.name]: name };
    try {
      const { id } = await cinder.createVolume({ ...wanted, type: volumeType, metadata }, call);
      const first = (await named(name, call)).find((volume) => !isFailed(volume))?.id ?? id;
      if (first === id) return id;
      await cinder.removeVolume(id, call);
      return (await cinder.awaitVolume(first, call)).id;
    } catch (error) {
      // One that is still being made is found by the next call.
      await Promise.allSettled([removeFailed(name)]);
      throw error;
    }
  }

  async function removeFailed(name: string): Promise<void> {
    const call = { signal: new AbortController().signal };
    for (const volume of await named(name, call)) {
      if (isFailed(volume)) await cinder.removeVolume(volume.id, call);
    }
  }

  async function findOrMake(wanted: Wanted, call: CallOptions): Promise<VolumeRef> {
    call.signal.throwIfAborted();
    checkVolumeName(wanted.name);
    const id = await lock(
      wanted.name,
      async () => (await findMade(wanted, call)) ?? (await make(wanted, call)),
    );
    return { array, id, size: bytesOf(wanted.gibibytes) };
  }

  return {
    find,
    findUnused,
    create: async ({ name, size }, call) =>
      await findOrMake({ name, gibibytes: gibibytesOf(name, size) }, call),
    async remove(volume, call) {
      call.signal.throwIfAborted();
      try {
        const { id } = await attachments.release(await find(volume, call), call);
        await cinder.removeVolume(id, call);
      } catch (error) {
        if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      }
    },
    clone: async ({ id: snapshotId, gibibytes }, name, call) =>
      await findOrMake({ name, gibibytes, snapshotId }, call),
    async revert(snapshot, ref, { rollBack }, call) {
      const volume = await findUnused(ref, call);
      if (rollBack === undefined) await checkLatest(cinder, snapshot, call);
      if (volume.gibibytes !== snapshot.gibibytes) {
        const message = `volume ${volume.id} of ${volume.gibibytes} GiB cannot be reverted to ${snapshot.gibibytes} GiB`;
        throw new FafnirError('UNSUPPORTED', message);
      }
      if (rollBack === undefined) await cinder.revert(volume.id, snapshot.id, call);
      else await rollBack();
    },
    async createTemporary({ id: snapshotId, reader, volume: { size } }, call) {
      const name = temporaryName(reader);
      const gibibytes = gibibytesOf(name, size);
      const metadata = { [KEYS.temporary]: reader, [KEYS.snapshot]: snapshotId };
      return await cinder.createVolume({ name, gibibytes, type: volumeType, snapshotId, metadata }, call);
    },
    async removeTemporary(reader, call) {
      const name = temporaryName(reader);
      const made = await marked({ name }, [KEYS.temporary, reader], call);
      const found = made.filter((volume) => volume.name === name);
      for (const volume of found) {
        await attachments.release(volume, call);
        await cinder.removeVolume(volume.id, call);
      }
      return found.map(({ id }) => `volume ${id}`);
    },
    async readersOf(snapshotId, call) {
      // Cinder reads it as Python does.
      const metadata = `{'${KEYS.snapshot}': '${snapshotId}'}`;
      const found = await marked({ metadata }, [KEYS.snapshot, snapshotId], call);
      const readers = found.map((volume) => volume.metadata[KEYS.temporary] ?? '');
      // Metadata is anybody's.
      return [...new Set(readers)].filter(isNamedReader);
    },
  };
}

/**
 * Refuses to revert to a snapshot that may not be the latest of its volume. Cinder refuses it, too, but by times to the
 * second: of two within one it might take the wrong one for the latest.
 */
async function checkLatest(
  cinder: Cinder,
  { id, name, volumeId, takenAt }: CinderSnapshot,
  call: CallOptions,
): Promise<void> {
  for await (const other of cinder.snapshots({ volume_id: volumeId }, call)) {
    if (other.id === id || other.takenAt < takenAt) continue;
    const message = `volume ${volumeId} has the snapshot ${other.name || other.id}, which is no older than ${name}`;
    throw new FafnirError('UNSUPPORTED', `${message}; Cinder reverts to the latest one alone`, {
      hint: 'Restore by copying, or remove the later snapshots.',
    });
  }
}

const isFailed = ({ status }: CinderVolume): boolean => status.startsWith('error');
const temporaryName = (reader: string): string => `fafnir-temporary-${reader}`;
const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);

/** Refuses a volume whose bytes are not what its users see. */
export function refuseEncrypted({ id, isEncrypted }: Pick<CinderVolume, 'id' | 'isEncrypted'>): void {
  if (!isEncrypted) return;
  const message = `volume ${id} is encrypted by Cinder: its bytes are of no use without Cinder's key`;
  throw new FafnirError('UNSUPPORTED', message);
}
