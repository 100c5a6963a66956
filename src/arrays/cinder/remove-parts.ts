import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { mapSettled } from '../../core/map-settled.ts';
import type { Cinder } from './cinder.ts';
import { type CinderSnapshot, KEYS } from './records.ts';

/** True of group snapshots of which no part is left, and which are to go themselves. */
export const isWhollyRemoved = (parts: readonly CinderSnapshot[]): boolean =>
  parts.every(({ isRemoved }) => isRemoved);

/** Removes whole attempts to take a set: snapshots that stand alone, and the group snapshots that others are parts of. */
export async function removeAttempts(
  cinder: Cinder,
  snapshots: readonly CinderSnapshot[],
  how: CallOptions & { readonly concurrency: number },
): Promise<void> {
  const alone = snapshots.filter(({ groupSnapshotId }) => groupSnapshotId === undefined);
  await mapSettled(alone, ({ id }, _, signal) => cinder.removeSnapshot(id, { signal }), how);
  const groups = [...new Set(snapshots.flatMap(({ groupSnapshotId }) => groupSnapshotId ?? []))];
  await mapSettled(groups, (id, _, signal) => cinder.removeGroupSnapshot(id, { signal }), how);
}

/**
 * Removes one snapshot. Cinder removes group snapshots as a whole alone: a part of one is marked, and whoever finds that all
 * others are marked removes the whole. It is marked before that is looked for again, so that of two that remove the last
 * two parts at once, one finds it; and the last part is not marked where nobody else is about, so that what Cinder does not
 * remove is still told of.
 */
export async function removePart(cinder: Cinder, part: CinderSnapshot, call: CallOptions): Promise<void> {
  const { id, groupSnapshotId } = part;
  if (groupSnapshotId === undefined) return await cinder.removeSnapshot(id, call);
  if (!(await isLast(cinder, part, call))) {
    try {
      await cinder.markSnapshot(id, { [KEYS.removed]: 'true' }, call);
    } catch (error) {
      // Gone meanwhile, with the whole.
      if (FafnirError.is(error, 'NOT_FOUND')) return;
      throw error;
    }
    if (!(await isLast(cinder, part, call))) return;
  }
  await cinder.removeGroupSnapshot(groupSnapshotId, call);
}

/** Whether all other parts are removed. Users may have given a part another name, so before it is said all are looked at. */
async function isLast(cinder: Cinder, part: CinderSnapshot, call: CallOptions): Promise<boolean> {
  for (const query of [{ name: part.name }, {}]) {
    for await (const { id, groupSnapshotId, isRemoved } of cinder.snapshots(query, call)) {
      if (groupSnapshotId === part.groupSnapshotId && id !== part.id && !isRemoved) return false;
    }
  }
  return true;
}
