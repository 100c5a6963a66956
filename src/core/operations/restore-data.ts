import type { OpenCheckpoint } from '../archive/catalog.ts';
import type { CopyKey } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { HeldCopies, ReadCall, ResourceKey, SnapshotCopy, VolumeTarget } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { bestFirst, copyKeyOf, isUnreachable, storeOf } from './copies.ts';
import type { ReadingsCall } from './readings.ts';
import type { ArrayWork, RestoredVolume } from './restore-ways.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

/** A volume's copies in a checkpoint. */
interface Copies {
  /** The volume's, for messages. */
  readonly name: string;
  /** The copies. */
  readonly copies: readonly SnapshotCopy[];
}

/**
 * Makes a volume hold the bytes of its copies in a checkpoint, read back and compared. Where its array says that it has
 * seen to that, the volume is only read; if it is not so, the bytes are copied.
 */
export async function restoreVolume(
  services: OperationServices,
  opened: Pick<OpenedCheckpoint, 'commit'>,
  { resource, copies }: { readonly resource: ResourceKey; readonly copies: readonly SnapshotCopy[] },
  { target, asked }: { readonly target: VolumeTarget; readonly asked: ArrayWork | undefined },
  call: ReadingsCall,
): Promise<RestoredVolume> {
  const key = { type: resource.type, id: resource.id };
  const of = { name: describeKey(key), copies };
  let instead = asked?.refused;
  if (asked !== undefined && instead === undefined) {
    try {
      await firstThatServes(services, opened, of, call, (store, copy, call) =>
        store.compare(copy, target, call),
      );
      return { resource: key, by: asked.by, ...asked.of };
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_PROVEN')) throw error;
      instead = `array ${asked.of.copy.location} did not ${asked.by} it: ${error.message}`;
    }
  }
  const used = await restoreBytes(services, opened, of, target, call);
  return { resource: key, by: 'copy', ...used, ...(instead === undefined ? {} : { instead }) };
}

/**
 * Makes a volume hold the bytes of the best of its copies in a checkpoint, read back and compared. Resolves with the
 * copy that served.
 */
export const restoreBytes = (
  services: OperationServices,
  opened: Pick<OpenedCheckpoint, 'commit'>,
  copies: Copies,
  target: VolumeTarget,
  call: ReadingsCall,
): Promise<CopyKey> =>
  firstThatServes(services, opened, copies, call, (store, copy, call) =>
    store.restoreInto(copy, target, call),
  );

async function firstThatServes(
  services: OperationServices,
  { commit }: Pick<OpenedCheckpoint, 'commit'>,
  { name, copies }: Copies,
  { tokenOf, ...call }: ReadingsCall,
  use: (store: HeldCopies, copy: SnapshotCopy, call: ReadCall) => Promise<unknown>,
): Promise<CopyKey> {
  let failure: unknown;
  for (const copy of bestFirst(copies)) {
    try {
      await use(storeOf(services, commit, copy), copy, { ...call, token: tokenOf(copy) });
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
