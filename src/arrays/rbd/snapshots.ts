import * as z from 'zod';
import type { RbdClient, RbdPoolSnapshot, RbdSnapshot } from '../../clients/rbd/client.ts';
import type { ArraySnapshot, CallOptions, SnapshotOptions, VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import { createLock } from '../lock.ts';
import { askedName, checkArray, checkName, checkNewName, partialName } from './names.ts';
import { removeNumbered } from './removal.ts';
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

/** A snapshot of the pool, with the name that it was asked for under. */
type Found = RbdPoolSnapshot & { readonly asked: string };

/** A name may stand for another snapshot later; the number is never given again. */
const reference = z.strictObject({ id: z.int().nonnegative() });

/** Snapshots that a list asks the times of at once, so that a longer list needs no more memory. */
const BATCH = 64;

/** The snapshots of a pool. */
export function createSnapshots({ array, client, concurrency }: SnapshotTools): Snapshots {
  const lock = createLock();

  /** The pool's snapshots whose asked names are wanted, in order of asked name and image, partial ones last. */
  async function scan(isWanted: (name: string) => boolean, call: CallOptions): Promise<Found[]> {
    const found: Found[] = [];
    for await (const snapshot of client.poolSnapshots(call)) {
      const asked = askedName(snapshot.name);
      if (asked !== undefined && isWanted(asked)) found.push({ ...snapshot, asked });
    }
    return found.sort(
      (a, b) => compare(a.asked, b.asked) || compare(a.image, b.image) || compare(a.name, b.name),
    );
  }

  /** With their times, which only their images tell; those that are gone by now are left out. */
  async function describe(found: readonly Found[], call: CallOptions): Promise<ArraySnapshot[]> {
    const images = [...new Set(found.map(({ image }) => image))];
    const times = new Map<number, Date>();
    await mapSettled(
      images,
      async (image, _, signal) => {
        for (const { id, takenAt } of await client.snapshots(image, { signal })) times.set(id, takenAt);
      },
      { concurrency, signal: call.signal },
    );
    return found.flatMap(({ id, image, asked: name, size }) => {
      const takenAt = times.get(id);
      if (takenAt === undefined) return [];
      const volume = { array, id: image, size };
      return [{ name, volume, reference: { id }, takenAt: takenAt.toISOString() }];
    });
  }

  async function find(name: string, call: CallOptions): Promise<readonly ArraySnapshot[]> {
    checkName(name);
    return await describe(standing(await scan((one) => one === name, call)), call);
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
            const found = (await client.snapshots(image, { signal })).find((one) => one.name === name);
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
      const found = standing(await scan((name) => name.startsWith(prefix), call));
      for (let at = 0; at < found.length; at += BATCH) {
        call.signal.throwIfAborted();
        yield* await describe(found.slice(at, at + BATCH), call);
      }
    },
    async remove(snapshot, call) {
      const id = idOf(snapshot);
      call.signal.throwIfAborted();
      const { id: image } = snapshot.volume;
      const among = await client.snapshots(image, call);
      const found = among.find((one) => one.id === id);
      if (found === undefined) return;
      // Before the one that it is beside: until then a repeat knows that it is left over.
      const late = among.find(({ name }) => name === partialName(found.name));
      if (late !== undefined) await removeNumbered(client, image, late.id, call);
      await removeNumbered(client, image, id, call);
    },
    async resolve(snapshot, since, call) {
      call.signal.throwIfAborted();
      const { id: image } = snapshot.volume;
      const among = await client.snapshots(image, call);
      const to = pick(snapshot, among);
      if (since === undefined) return { image, to };
      const isOlder = since.volume.id === image && idOf(since) < to.id;
      if (isOlder) return { image, to, from: pick(since, among) };
      throw new FafnirError('UNSUPPORTED', `${since.name} is no older snapshot of ${image} than ${to.name}`);
    },
  };
}

/**
 * Without partial ones beside those that have their name: of a call that came when its set was complete, because the
 * program outlived its caller. They go with those that they are beside.
 */
const standing = (found: readonly Found[]): readonly Found[] =>
  found.filter(({ asked, image }, at) => {
    const before = found[at - 1];
    return before === undefined || before.asked !== asked || before.image !== image;
  });

const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);
