import type { OpenCheckpoint } from '../archive/catalog.ts';
import type { CopyKey } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { CopyCall, SnapshotCopy, VolumeTarget } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { copyKeyOf, isUnreachable, storeOf } from './copies.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

/**
 * Makes a volume hold the bytes of the best of its copies in a checkpoint, read back and compared. Resolves with the
 * copy that served. `name` is the volume's, for messages.
 */
export async function restoreBytes(
  services: OperationServices,
  { commit }: Pick<OpenedCheckpoint, 'commit'>,
  { name, copies }: { readonly name: string; readonly copies: readonly SnapshotCopy[] },
  target: VolumeTarget,
  call: CopyCall,
): Promise<CopyKey> {
  let failure: unknown;
  for (const copy of bestFirst(copies)) {
    try {
      await storeOf(services, commit, copy).restoreInto(copy, target, call);
      return copyKeyOf(copy);
    } catch (error) {
      // Another copy of the same instant serves as well, where this one is gone, damaged or out of reach.
      if (!isDamage(error) && !isUnreachable(error)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new FafnirError('NOT_AVAILABLE', `no copy of ${name} is left`);
}

/** A checkpoint as if it had copies in one place only: an array or a bank of this name; anywhere where it is null. */
export function copiesIn<Opened extends OpenCheckpoint>(opened: Opened, location: string | null): Opened {
  if (location === null) return opened;
  const artifacts = opened.artifacts.map((artifact) => ({
    ...artifact,
    volume: artifact.volume && {
      ...artifact.volume,
      copies: artifact.volume.copies.filter((copy) => copy.location === location),
    },
  }));
  const lacks = artifacts.some(({ volume }) => volume?.copies.length === 0);
  return { ...opened, artifacts, state: lacks && opened.state === 'available' ? 'partial' : opened.state };
}

// An archive can be checked while it is read, and does not load the array that the application runs on.
const bestFirst = (copies: readonly SnapshotCopy[]): readonly SnapshotCopy[] =>
  copies.toSorted((a, b) => Number(b.kind === 'archive') - Number(a.kind === 'archive'));
