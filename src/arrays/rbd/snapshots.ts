import * as z from 'zod';
import type { RbdClient, RbdPoolSnapshot, RbdSnapshot } from '../../clients/rbd/client.ts';
import type { ArraySnapshot, CallOptions, SnapshotOptions, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import { createLock } from '../lock.ts';
import { askedName, checkArray, checkName, checkNewName } from './names.ts';
import { takeSet } from './take-set.ts';

/** What snapshots are taken with. */
export interface SnapshotTools {
  /** The array's name. */
  readonly array: string;
  /** Its pool. */
  readonly client: RbdClient;
  /** Child processes of one call at once. */
  readonly concurrency: number;
}

/** A snapshot to open, as it is on its image, and the older one to compare it with. */
export interface ResolvedSnapshot {
  /** The image. */
  readonly image: string;
  /** The one to open. */
  readonly to: RbdSnapshot;
  /** The older one. */
  readonly from?: RbdSnapshot;
}

/** The snapshots of an array; as the members of `StorageArray` of the same names. */
export interface Snapshots {
  /** As `StorageArray.snapshot`. */
  take(volumes: readonly VolumeRef[], name: string, call: SnapshotOptions): Promise<readonly ArraySnapshot[]>;
  /** As `StorageArray.find`. */
  find(name: string, call: CallOptions): Promise<readonly ArraySnapshot[]>;
  /** As `StorageArray.list`. */
  list(prefix: string, call: CallOptions): AsyncIterable<ArraySnapshot>;
  /** As `StorageArray.remove`. */
  remove(snapshot: ArraySnapshot, call: CallOptions): Promise<void>;
  /** The snapshots as they are on their image; `NOT_FOUND`, with its name, where one is gone. */
  resolve(
    snapshot: ArraySnapshot,
    since: ArraySnapshot | undefined,
    call: CallOptions,
  ): Promise<ResolvedSnapshot>;
}

/** A name may stand for another snapshot later; the number is never given again. */
const reference = z.strictObject({ id: z.int().nonnegative() });

/** Snapshots that a list asks the times of at once, so that a longer list needs no more memory. */
const BATCH = 64;

/** The snapshots of a pool. */
export function createSnapshots({ array, client, concurrency }: SnapshotTools): Snapshots {
  const lock = createLock();

  /** The pool's snapshots whose asked names are wanted, in order of name and image. */
  async function scan(isWanted: (name: string) => boolean, call: CallOptions): Promise<RbdPoolSnapshot[]> {
    const found: RbdPoolSnapshot[] = [];
    for await (const snapshot of client.poolSnapshots(call)) {
      const name = askedName(snapshot.name);
      if (name !== undefined && isWanted(name)) found.push(snapshot);
    }
    // A set that is half done has another name on its images, and is listed under the one that it was asked for.
    const order = ({ name }: RbdPoolSnapshot): string => askedName(name) ?? name;
    return found.sort((a, b) => compare(order(a), order(b)) || compare(a.image, b.image));
  }

  /** With their times, which only their images tell; those that are gone by now are left out. */
  async function describe(found: readonly RbdPoolSnapshot[], call: CallOptions): Promise<ArraySnapshot[]> {
    const images = [...new Set(found.map(({ image }) => image))];
    const times = new Map<number, Date>();
    await mapSettled(
      images,
      async (image, _, signal) => {
        for (const { id, takenAt } of await existing(image, { signal })) times.set(id, takenAt);
      },
      { concurrency, signal: call.signal },
    );
    return found.flatMap(({ id, image, name: raw, size }) => {
      const [name, takenAt] = [askedName(raw), times.get(id)];
      if (name === undefined || takenAt === undefined) return [];
      const volume = { array, id: image, size };
      return [{ name, volume, reference: { id }, takenAt: takenAt.toISOString() }];
    });
  }

  /** The snapshots of an image, none where there is no image. */
  async function existing(image: string, call: CallOptions): Promise<readonly RbdSnapshot[]> {
    try {
      return await client.snapshots(image, call);
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return [];
      throw error;
    }
  }

  async function find(name: string, call: CallOptions): Promise<readonly ArraySnapshot[]> {
    checkName(name);
    return await describe(await scan((one) => one === name, call), call);
  }

  function idOf({ name, volume, reference: given }: ArraySnapshot): number {
    checkArray(array, volume);
    const checked = reference.safeParse(given);
    if (checked.success) return checked.data.id;
    throw new FafnirError('INVALID_ID', `not a reference of array ${array}: snapshot ${name}`);
  }

  function pick(snapshot: ArraySnapshot, among: readonly RbdSnapshot[]): RbdSnapshot {
    const id = idOf(snapshot);
    const found = among.find((one) => one.id === id);
    if (found !== undefined) return found;
    const { name, volume } = snapshot;
    throw new FafnirError('NOT_FOUND', `there is no snapshot ${name} of ${volume.id}`);
  }

  return {
    find,
    async take(volumes, name, call) {
      call.signal.throwIfAborted();
      checkNewName(name);
      for (const volume of volumes) checkArray(array, volume);
      if (volumes.length === 0) return [];
      return await lock(name, async () => {
        call.signal.throwIfAborted();
        const images = volumes.map(({ id }) => id);
        const present = call.isFirst === true ? [] : await scan((one) => one === name, call);
        await takeSet({ client, concurrency, name, images, present }, call);
        const taken = await mapSettled(
          images,
          async (image, _, signal) => {
            const found = (await existing(image, { signal })).find((one) => one.name === name);
            return found === undefined ? [] : [{ image, ...found }];
          },
          { concurrency, signal: call.signal },
        );
        return taken.map(([snapshot], at) => {
          if (snapshot === undefined) {
            const message = `snapshot ${name} of ${images[at]} was removed while it was taken`;
            throw new FafnirError('UNAVAILABLE', message);
          }
          const { id, image, size, takenAt } = snapshot;
          const volume = { array, id: image, size };
          return { name, volume, reference: { id }, takenAt: takenAt.toISOString() };
        });
      });
    },
    async *list(prefix, call) {
      call.signal.throwIfAborted();
      const found = await scan((name) => name.startsWith(prefix), call);
      for (let at = 0; at < found.length; at += BATCH) {
        call.signal.throwIfAborted();
        yield* await describe(found.slice(at, at + BATCH), call);
      }
    },
    async remove(snapshot, call) {
      const id = idOf(snapshot);
      call.signal.throwIfAborted();
      const { id: image } = snapshot.volume;
      const found = (await existing(image, call)).find((one) => one.id === id);
      if (found === undefined) return;
      try {
        await client.removeSnapshot(image, found.name, call);
      } catch (error) {
        if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      }
    },
    async resolve(snapshot, since, call) {
      call.signal.throwIfAborted();
      const { id: image } = snapshot.volume;
      const among = await existing(image, call);
      const to = pick(snapshot, among);
      if (since === undefined) return { image, to };
      const isOlder = since.volume.id === image && idOf(since) < to.id;
      if (isOlder) return { image, to, from: pick(since, among) };
      throw new FafnirError('UNSUPPORTED', `${since.name} is no older snapshot of ${image} than ${to.name}`);
    },
  };
}

const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);
