import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  ArraySnapshot,
  CallOptions,
  Extent,
  StorageArray,
  VolumeRef,
  VolumeSource,
} from '../../src/core/contracts/index.ts';
import { type ErrorCode, FafnirError } from '../../src/core/errors.ts';
import type { StorageArrayFixture } from '../../src/testing/storage-array-suite.ts';

const BLOCK = 4096;

/** How a double goes wrong. */
export interface Faults {
  /** Later writes to the volume show in its snapshots. */
  readonly sharesBytes?: boolean;
  /** The first changed block is called `same`. */
  readonly missesOne?: boolean;
  /** Snapshots are called taken before they are. */
  readonly tellsEarly?: boolean;
  /** Snapshots that others made are not listed where their names have more than a-z 0-9 and -. */
  readonly hidesNames?: boolean;
  /**
   * Volumes are of one instant where they were put into a group only. `unheeded`: what is asked for as a group is taken, whatever
   * it is. Unless given, any volumes are of one instant.
   */
  readonly groups?: 'sound' | 'unheeded';
}

/** A small array in memory, without optional roles; honest unless told otherwise. */
export function memoryArray({
  sharesBytes = false,
  missesOne = false,
  tellsEarly = false,
  hidesNames = false,
  groups,
}: Faults = {}): StorageArrayFixture {
  const volumes = new Map<string, Uint8Array>();
  const sets = new Map<string, Map<string, { snapshot: ArraySnapshot; bytes: Uint8Array }>>();
  const formed: ReadonlySet<string>[] = [];
  let taken = 0;

  const take = (volume: VolumeRef, name: string) => {
    const bytes = volumes.get(volume.id) ?? fail('NOT_FOUND', `no volume ${volume.id}`);
    const takenAt = new Date(taken).toISOString();
    const snapshot = { name, volume: { ...volume, size: bytes.length }, reference: { taken }, takenAt };
    return { snapshot, bytes: sharesBytes ? bytes : bytes.slice() };
  };
  const isGroup = (some: readonly VolumeRef[]): boolean => {
    for (const { id, array: of } of some) {
      if (of !== 'memory') fail('UNKNOWN_ARRAY', `volume ${id} is of array ${of}`);
      if (!volumes.has(id)) fail('NOT_FOUND', `no volume ${id}`);
    }
    return formed.some((ids) => ids.size === some.length && some.every(({ id }) => ids.has(id)));
  };
  const bytesOf = ({ name, volume, reference }: ArraySnapshot): Uint8Array => {
    const kept = sets.get(name)?.get(volume.id);
    if (kept?.snapshot.reference.taken === reference.taken && kept !== undefined) return kept.bytes;
    return fail('NOT_FOUND', `no snapshot ${name} of ${volume.id}`);
  };

  const array: StorageArray = {
    contract: 1,
    name: 'memory',
    capabilities: async () => ({
      group: groups === undefined,
      pointInTime: true,
      changeBase: 'snapshot',
      extents: 'map',
      nameLength: 64,
      concurrency: 8,
    }),
    async snapshot(wanted, name, { signal, taken: tell, group }) {
      signal.throwIfAborted();
      if (!/^[a-z0-9-]+$/.test(name) || name.startsWith('-')) fail('INVALID_ID', `not a name: ${name}`);
      if (tellsEarly) {
        tell?.();
        await nextTurn();
      }
      const known = sets.get(name);
      if (groups === 'sound' && group === true && known === undefined && !isGroup(wanted)) {
        fail('NOT_ONE_INSTANT', 'these are no group');
      }
      taken += 1;
      const set = known ?? new Map(wanted.map((volume) => [volume.id, take(volume, name)]));
      if (set.size !== wanted.length || !wanted.every(({ id }) => set.has(id))) {
        fail('ALREADY_EXISTS', `snapshot ${name} exists`);
      }
      sets.set(name, set);
      return wanted.flatMap(({ id }) => set.get(id)?.snapshot ?? []);
    },
    ...(groups !== undefined && {
      async isGroup(some: readonly VolumeRef[], { signal }: CallOptions) {
        signal.throwIfAborted();
        return isGroup(some);
      },
    }),
    async find(name) {
      if (!/^[^-/\p{Cc}][^/\p{Cc}]*$/u.test(name)) fail('INVALID_ID', `not a name: ${name}`);
      return [...(sets.get(name)?.values() ?? [])].map(({ snapshot }) => snapshot);
    },
    async *list(prefix, { signal }) {
      signal.throwIfAborted();
      for (const name of [...sets.keys()].sort()) {
        if (name.startsWith(prefix) && !(hidesNames && /[^a-z0-9-]/.test(name)))
          for (const { snapshot } of sets.get(name)?.values() ?? []) yield snapshot;
      }
    },
    async remove({ name, volume, reference }, { signal }) {
      signal.throwIfAborted();
      const set = sets.get(name);
      if (set?.get(volume.id)?.snapshot.reference.taken !== reference.taken) return;
      set?.delete(volume.id);
      if (set?.size === 0) sets.delete(name);
    },
    async open(snapshot, { since }, { signal }) {
      signal.throwIfAborted();
      const bytes = bytesOf(snapshot);
      return sourceOf(bytes, since === undefined ? undefined : bytesOf(since), missesOne);
    },
  };

  return {
    array,
    async createVolume(size) {
      const id = `volume-${volumes.size}`;
      volumes.set(id, new Uint8Array(size));
      return { array: array.name, id, size };
    },
    async write({ id }, offset, data) {
      volumes.get(id)?.set(data, offset);
    },
    async snapshotAs(volume, name) {
      taken += 1;
      sets.set(name, new Map([[volume.id, take(volume, name)]]));
    },
    ...(groups !== undefined && {
      async formGroup(some: readonly VolumeRef[]) {
        formed.push(new Set(some.map(({ id }) => id)));
      },
    }),
    dispose: async () => undefined,
  };
}

function sourceOf(bytes: Uint8Array, since: Uint8Array | undefined, missesOne: boolean): VolumeSource {
  return {
    access: 'random',
    size: bytes.length,
    async *extents(): AsyncGenerator<Extent, void, undefined> {
      let missed = !missesOne;
      for (let offset = 0; offset < bytes.length; offset += BLOCK) {
        const block = Buffer.from(bytes.subarray(offset, offset + BLOCK));
        const older = since?.subarray(offset, offset + BLOCK);
        const isSame = older !== undefined && (block.equals(older) || !missed);
        if (isSame && !block.equals(older)) missed = true;
        const kind = isSame ? 'same' : block.every((byte) => byte === 0) ? 'zero' : 'data';
        yield { offset, length: block.length, kind };
      }
    },
    async readInto(offset, into) {
      const isInside = offset >= 0 && offset + into.length <= bytes.length;
      into.set(isInside ? bytes.subarray(offset, offset + into.length) : fail('OUT_OF_RANGE', 'beyond'));
    },
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function fail(code: ErrorCode, message: string): never {
  throw new FafnirError(code, message);
}
