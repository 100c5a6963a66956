import type { RbdClient, RbdImage } from '../../clients/rbd/client.ts';
import type { CallOptions, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { checkArray } from './names.ts';

/** Bytes of which the size of a volume that can be written is a multiple: what QEMU takes for a block. */
const SECTOR = 512;

/** A snapshot to clone. */
export interface CloneSource {
  /** Its image. */
  readonly image: string;
  /** What it is called there. */
  readonly snapshot: string;
  /** Bytes. */
  readonly size: number;
}

/** The volumes of an array. */
export interface Volumes {
  /** As `ArrayTarget.create`. */
  create(image: string, size: number, call: CallOptions): Promise<VolumeRef>;
  /** The volume as it is; `NOT_FOUND` where there is none. */
  find(volume: VolumeRef, call: CallOptions): Promise<VolumeRef>;
  /** As `ArrayTarget.remove`. */
  remove(volume: VolumeRef, call: CallOptions): Promise<void>;
  /** As `StorageArray.clone`. */
  clone(source: CloneSource, image: string, call: CallOptions): Promise<VolumeRef>;
  /** Makes a volume a snapshot's bytes again. */
  rollBack(image: string, snapshot: string, call: CallOptions): Promise<void>;
}

/** Refuses a size that cannot be written to the last byte. */
export function checkSize(image: string, size: number): void {
  if (Number.isSafeInteger(size) && size >= 0 && size % SECTOR === 0) return;
  const message = `image ${image} of ${size} bytes cannot be written: that is no multiple of ${SECTOR}`;
  throw new FafnirError('UNSUPPORTED', message);
}

/** The volumes of a pool, of the array of this name. */
export function createVolumes(array: string, client: RbdClient): Volumes {
  /** Runs what makes an image unless there is one, which has to have the size. */
  async function findOrMake(
    image: string,
    size: number,
    make: () => Promise<void>,
    call: CallOptions,
  ): Promise<RbdImage> {
    try {
      await make();
    } catch (error) {
      if (!FafnirError.is(error, 'ALREADY_EXISTS')) throw error;
    }
    const found = await client.image(image, call);
    if (found.size === size) return found;
    throw new FafnirError('ALREADY_EXISTS', `image ${image} exists with ${found.size} bytes, not ${size}`);
  }

  return {
    async create(image, size, call) {
      call.signal.throwIfAborted();
      checkSize(image, size);
      await findOrMake(image, size, () => client.create(image, size, call), call);
      return { array, id: image, size };
    },
    async find(volume, call) {
      checkArray(array, volume);
      call.signal.throwIfAborted();
      return { ...volume, size: (await client.image(volume.id, call)).size };
    },
    async remove(volume, call) {
      checkArray(array, volume);
      call.signal.throwIfAborted();
      try {
        await client.remove(volume.id, call);
      } catch (error) {
        if (FafnirError.is(error, 'NOT_FOUND')) return;
        if (!FafnirError.is(error, 'BUSY') || error.retryable) throw error;
        const keepers = await client.keepers(volume.id, call);
        const message = `image ${volume.id} cannot be removed while it has ${keepers.join(', ')}`;
        const hint = 'Remove the snapshots and flatten or remove the clones that the message names.';
        throw new FafnirError('BUSY', message, { retryable: false, hint, cause: error });
      }
    },
    async clone({ image: parent, snapshot, size }, image, call) {
      call.signal.throwIfAborted();
      const make = (): Promise<void> => client.clone(parent, snapshot, image, call);
      const found = await findOrMake(image, size, make, call);
      // Else its parent could not be removed. One who died may have left it so.
      if (found.parent !== undefined) {
        if (found.parent.image !== parent) {
          const message = `image ${image} exists as a clone of ${found.parent.image}, not of ${parent}`;
          throw new FafnirError('ALREADY_EXISTS', message);
        }
        await client.flatten(image, call);
      }
      return { array, id: image, size };
    },
    async rollBack(image, snapshot, call) {
      call.signal.throwIfAborted();
      // Not to be stopped: half-way the volume would be neither what it was nor what it is to be.
      await client.rollBack(image, snapshot, { signal: new AbortController().signal });
    },
  };
}
