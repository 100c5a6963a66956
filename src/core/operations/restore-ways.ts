import type { CopyKey } from '../archive/checkpoint.ts';
import type { Provider, ResourceKey, SnapshotCopy, VolumeRef } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { bestFirst, copyKeyOf } from './copies.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

/**
 * How a volume gets its bytes. `revert`: its array makes it again what a snapshot of it holds. `clone`: the array makes it
 * from a snapshot. `copy`: they go through the engine. However it was, the volume is then read back and compared.
 */
export type RestoreWay = 'revert' | 'clone' | 'copy';

/** What an array can do in place of a copy. */
export type ArrayWay = Exclude<RestoreWay, 'copy'>;

/** How a volume would get its bytes. */
export type PlannedBytes = {
  /** Which way. */
  readonly by: RestoreWay;
  /** Which copy would serve. */
  readonly copy: CopyKey['copy'];
};

/** How a volume got its bytes, and from which copy of which volume. */
export type RestoredVolume = CopyKey & {
  /** The original that was restored. */
  readonly resource: ResourceKey;
  /** Which way. */
  readonly by: RestoreWay;
  /** Why the array did not do it, where it was asked to. */
  readonly instead?: string;
};

/** What came of asking an array to make a volume what a copy is. Nothing is proven by it. */
export type ArrayWork = {
  /** What it was asked to do. */
  readonly by: ArrayWay;
  /** With which copy. */
  readonly of: CopyKey;
  /** Why it did not. */
  readonly refused?: string;
};

/** Where copies are, and where their bytes are to be. */
export interface WaysRequest {
  /** The checkpoint. */
  readonly opened: Pick<OpenedCheckpoint, 'commit'>;
  /** The provider to restore to. */
  readonly destination: Provider;
}

/** The copy that the array of an existing volume can make that volume again; undefined where there is none. */
export function revertibleTo(
  services: OperationServices,
  request: WaysRequest,
  copies: readonly SnapshotCopy[],
  { array, id, size }: VolumeRef,
): SnapshotCopy | undefined {
  if (request.destination.arrays.get(array)?.revert === undefined) return undefined;
  return onArrays(services, request, copies).find(
    ({ volume }) => volume.array === array && volume.id === id && volume.size === size,
  );
}

/** The copy that a resource of this type can be created from, with its bytes; undefined where there is none. */
export function clonableFrom(
  services: OperationServices,
  request: WaysRequest,
  copies: readonly SnapshotCopy[],
  { type }: Pick<ResourceKey, 'type'>,
): SnapshotCopy | undefined {
  const arrays = request.destination.protectables.get(type)?.clones ?? [];
  return onArrays(services, request, copies).find(({ location }) => arrays.includes(location));
}

// Two providers may have arrays of one name: only what both hold for the same plugin is the same array.
function onArrays(
  services: OperationServices,
  { opened, destination }: WaysRequest,
  copies: readonly SnapshotCopy[],
): readonly SnapshotCopy[] {
  const [from, to] = [opened.commit.provider, destination.name].map((name) => services.providers.get(name));
  return copies.filter(({ kind, location }) => {
    const array = kind === 'array' ? from?.arrays.get(location) : undefined;
    return array !== undefined && array === to?.arrays.get(location);
  });
}

/** How a volume would get its bytes: from what its array can use, else from the best of its copies; null without any. */
export function planBytes(
  by: ArrayWay,
  usable: SnapshotCopy | undefined,
  copies: readonly SnapshotCopy[],
): PlannedBytes | null {
  if (usable !== undefined) return { by, copy: copyKeyOf(usable).copy };
  const [best] = bestFirst(copies);
  return best === undefined ? null : { by: 'copy', copy: copyKeyOf(best).copy };
}

const REFUSALS = ['CORRUPT', 'NOT_FOUND', 'NO_SPACE', 'UNKNOWN_ARRAY', 'UNKNOWN_PROVIDER', 'UNSUPPORTED'];

/** Has an array do its work with a copy. That it cannot is no failure, for then the bytes are copied. */
export async function askArray<Value>(
  by: ArrayWay,
  copy: SnapshotCopy,
  work: () => Promise<Value>,
): Promise<{ readonly asked: ArrayWork; readonly value?: Value }> {
  const asked = { by, of: copyKeyOf(copy) };
  try {
    return { asked, value: await work() };
  } catch (error) {
    if (!FafnirError.is(error) || !REFUSALS.includes(error.code)) throw error;
    return { asked: { ...asked, refused: error.message } };
  }
}

/** What the steps begin with that fill a volume; each comes to a {@link RestoredVolume}. */
export const FILL = 'fill/';

/** How many volumes a job has filled which way. */
export function countWays(context: Pick<OperationContext, 'results'>): Readonly<Record<RestoreWay, number>> {
  const counts = { revert: 0, clone: 0, copy: 0 };
  for (const restored of context.results(FILL).values()) counts[(restored as RestoredVolume).by] += 1;
  return counts;
}
