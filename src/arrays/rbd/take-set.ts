import type { RbdClient, RbdPoolSnapshot } from '../../clients/rbd/client.ts';
import type { CallOptions, SnapshotOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import { partialName } from './names.ts';
import { removeNumbered } from './removal.ts';

/** Snapshots that are taken at once, whatever is allowed for the rest: until the last is there, somebody may be paused. */
const TAKEN_AT_ONCE = 16;

/** What is to be taken, and what of the name there is. */
export interface WantedSet {
  /** The pool. */
  readonly client: RbdClient;
  /** Child processes at once, but for those that take a snapshot. */
  readonly concurrency: number;
  /** The name of all of them. */
  readonly name: string;
  /** Which images. */
  readonly images: readonly string[];
  /** Every snapshot of the name in the pool, partial or not; none where nobody has asked for it. */
  readonly present: readonly RbdPoolSnapshot[];
}

/**
 * Snapshots images under one name, all or none. They are taken under the partial name, and renamed when all are there:
 * so what a dead caller left tells how far it came. Some partial ones were never a set, and are taken anew; all of them are,
 * and have only to be renamed; one that has its name is of a set that was complete.
 */
export async function takeSet(wanted: WantedSet, call: SnapshotOptions): Promise<void> {
  const { name, images, present } = wanted;
  const called = (raw: string): readonly RbdPoolSnapshot[] => present.filter((one) => one.name === raw);
  const imagesOf = (raw: string): ReadonlySet<string> => new Set(called(raw).map(({ image }) => image));
  const [named, partial] = [imagesOf(name), imagesOf(partialName(name))];
  const missing = images.filter((image) => !named.has(image));
  const isWhole = missing.every((image) => partial.has(image));
  if (named.size > 0) {
    if (!isWhole || [...named].some((image) => !images.includes(image))) {
      throw new FafnirError(
        'ALREADY_EXISTS',
        `snapshot ${name} exists for other volumes, or some were removed`,
      );
    }
  } else if (!isWhole || partial.size > images.length) {
    await removeLeft(wanted, called(partialName(name)), call);
    await takePartial(wanted, call);
  }
  call.taken?.();
  await nameAll(wanted, missing);
}

/** By number: one that a dead caller's program renames meanwhile would be of another instant than the others. */
async function removeLeft(
  { client, concurrency }: WantedSet,
  left: readonly RbdPoolSnapshot[],
  { signal }: CallOptions,
): Promise<void> {
  const remove = ({ image, id }: RbdPoolSnapshot, _: number, signal: AbortSignal): Promise<void> =>
    removeNumbered(client, image, id, { signal });
  await mapSettled(left, remove, { concurrency, signal });
}

async function takePartial(wanted: WantedSet, call: CallOptions): Promise<void> {
  const { client, name, images } = wanted;
  try {
    await mapSettled(
      images,
      (image, _, signal) =>
        // Where two took it at once, either's will do.
        unless('ALREADY_EXISTS', client.createSnapshot(image, partialName(name), { signal })),
      { concurrency: TAKEN_AT_ONCE, signal: call.signal },
    );
    call.signal.throwIfAborted();
  } catch (error) {
    try {
      await removePartial(wanted, images, finishing());
    } catch (left) {
      // It can be found by its name, and the next attempt removes it; what went wrong first is what counts.
      throw FafnirError.is(error) ? withCause(error, left) : error;
    }
    throw error;
  }
}

/** Not to be stopped: between the first and the last the set would be neither there nor not there. */
async function nameAll({ client, concurrency, name }: WantedSet, images: readonly string[]): Promise<void> {
  await mapSettled(
    images,
    async (image, _, signal) => {
      try {
        await client.renameSnapshot(image, partialName(name), name, { signal });
      } catch (error) {
        // Another caller was faster: then this one's is not needed.
        if (FafnirError.is(error, 'ALREADY_EXISTS')) await removeOne(client, image, name, { signal });
        else if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      }
    },
    { concurrency, signal: finishing().signal },
  );
}

async function removePartial(
  { client, concurrency, name }: WantedSet,
  images: readonly string[],
  call: CallOptions,
): Promise<void> {
  await mapSettled(images, (image, _, signal) => removeOne(client, image, name, { signal }), {
    concurrency,
    signal: call.signal,
  });
}

const removeOne = (client: RbdClient, image: string, name: string, call: CallOptions): Promise<void> =>
  unless('NOT_FOUND', client.removeSnapshot(image, partialName(name), call));

async function unless(code: 'ALREADY_EXISTS' | 'NOT_FOUND', work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!FafnirError.is(error, code)) throw error;
  }
}

/** A call that nobody stops; its deadlines bound it. */
const finishing = (): CallOptions => ({ signal: new AbortController().signal });

const withCause = (error: FafnirError, left: unknown): FafnirError => {
  const { code, message, retryable, hint } = error;
  return new FafnirError(code, message, { retryable, hint, cause: new AggregateError([error, left]) });
};
