import type { ProtectedVolume } from '../archive/artifacts.ts';
import { proofReaches } from '../archive/catalog.ts';
import type { SnapshotCopy, VolumeRef } from '../contracts/index.ts';
import type { Leftovers } from '../jobs/leftovers.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { historyOf, openUnlessDamaged } from './change-bases.ts';
import { isRemoving, removeCopies } from './copies.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

// Behind those of a plan that keeps all, each run would look at all there are.
const KEPT_IN_A_ROW = 100;

/**
 * Removes array copies of a plan's checkpoints that are no longer wanted since one of them was made. Only of volumes whose
 * archive is proven: each checkpoint says how many of the newest archived ones keep theirs, and where the array tells
 * what changed since a snapshot, the newest keeps it in any case. What cannot be removed is a leftover.
 */
export async function releaseArrayCopies(
  context: OperationContext,
  services: OperationServices,
  leftovers: Leftovers,
  made: OpenedCheckpoint,
): Promise<void> {
  const { vault, commit } = made;
  const plan = { id: commit.plan.id, provider: commit.provider };
  const { newestFirst } = await context.retry((call) => historyOf({ vault, plan }, call));
  // A bank may list it late.
  const isListed = newestFirst.includes(commit.id);
  const ranks = new Map<string, number>();
  let kept = 0;
  for (const id of isListed ? newestFirst : [commit.id, ...newestFirst]) {
    const isMade = id === commit.id;
    const found = isMade ? made : await context.retry((call) => openUnlessDamaged(vault, id, call));
    const archived = found?.artifacts.flatMap(({ volume }) => (isArchived(volume) ? volume : [])) ?? [];
    if (found === undefined || archived.length === 0) continue;
    const opened = { ...found, vault };
    let [isReleased, isKept] = [true, true];
    const due: SnapshotCopy[] = [];
    for (const volume of archived) {
      const name = nameOf(volume.volume);
      const rank = (ranks.get(name) ?? 0) + 1;
      ranks.set(name, rank);
      const copy = arrayCopy(context, opened, volume);
      if (copy === undefined) continue;
      isReleased = false;
      if (volume.arrayCopy === 'kept') continue;
      isKept = false;
      if (opened.holds.length > 0) continue;
      if (rank <= Math.max(volume.keep ?? 0, volume.arrayCopy === 'change-base' ? 1 : 0)) continue;
      due.push(copy);
    }
    await removeCopies(context, services, leftovers, opened, due);
    // All that came before went when this one was the newest.
    if (isReleased) return;
    kept = isKept ? kept + 1 : 0;
    if (kept === KEPT_IN_A_ROW) return;
  }
}

/** Removes the array copies of one checkpoint, as far as the volumes' archives are proven; none where it is held. */
export async function releaseSnapshots(
  context: OperationContext,
  services: OperationServices,
  leftovers: Leftovers,
  opened: OpenedCheckpoint,
): Promise<void> {
  if (opened.holds.length > 0) return;
  const due = opened.artifacts.flatMap(({ volume }) => {
    const copy = isArchived(volume) ? arrayCopy(context, opened, volume) : undefined;
    return copy ?? [];
  });
  await removeCopies(context, services, leftovers, opened, due);
}

const nameOf = ({ array, id }: VolumeRef): string => JSON.stringify([array, id]);

const isArchived = (volume: ProtectedVolume | null): volume is ProtectedVolume =>
  volume?.copies.some(
    ({ kind, proof }) =>
      (kind === 'archive' && proofReaches(proof, 'read-back')) ||
      (kind === 'external' && proofReaches(proof, 'source-compared')),
  ) === true;

/** The copy that a volume has on its array, also one that this job has given up and may not have removed. */
function arrayCopy(
  context: OperationContext,
  opened: OpenedCheckpoint,
  { volume, copies }: ProtectedVolume,
): SnapshotCopy | undefined {
  const removing = opened.removed.filter((copy) => isRemoving(context, opened, copy));
  return [...copies, ...removing].find(
    (copy) => copy.kind === 'array' && nameOf(copy.volume) === nameOf(volume),
  );
}
