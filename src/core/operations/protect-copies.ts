import type { ProtectedVolume } from '../archive/artifacts.ts';
import { proofReaches } from '../archive/catalog.ts';
import type { Provider, SnapshotCopy } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { parseCheckpointId } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import type { ArchiveVolumeInput, ArchiveVolumeResult, SnapshotSource } from './archive-volume.ts';
import type { ChangeBases } from './change-bases.ts';
import { makeExternal } from './external-copies.ts';
import { lockedUntilOf } from './locks.ts';
import type { ProtectInput } from './protect-commit.ts';
import type { VolumeDecision } from './protect-plan.ts';
import { intendReading } from './readings.ts';
import type { OperationServices } from './services.ts';
import type { SnapshotSupply } from './snapshot-phases.ts';

/** How many archives a job has made at once, by all workers together: each takes as many as it is set to. */
export const ARCHIVES_AT_ONCE = 32;
// A service outside makes them for this worker, and says nowhere how many it can.
const EXTERNAL_AT_ONCE = 8;

/** How many volumes a job copies at once. */
export const copiesAtOnce = (volumes: readonly VolumeDecision[]): number =>
  volumes.some(({ copies }) => copies.required.includes('external')) ? EXTERNAL_AT_ONCE : ARCHIVES_AT_ONCE;

/** What was made of a volume. */
export interface MadeCopies {
  /** Its copies. */
  readonly copies: readonly SnapshotCopy[];
  /** The archive among them, and what was found out with it. */
  readonly made?: ArchiveVolumeResult;
}

/** The copies that a checkpoint of a volume must have before it counts: the snapshot, and what is made from it. */
export async function makeCopies(
  context: OperationContext,
  at: { readonly provider: Provider; readonly services: OperationServices },
  decision: VolumeDecision,
  snapshot: SnapshotCopy,
  bases: ChangeBases,
): Promise<MadeCopies> {
  const {
    resource,
    volume,
    copies: { required, proof },
  } = decision;
  if (required.includes('external')) {
    const of = { provider: at.provider.name };
    const reader = await intendReading(context, at.services, of, snapshot, `copy/${describeKey(resource)}`);
    const { installation } = at.services;
    const made = await makeExternal(context, { ...at, installation }, decision, { snapshot, reader });
    return { copies: [snapshot, made] };
  }
  if (!required.includes('archive')) {
    context.progress.share(volume.size).finish();
    return { copies: [snapshot] };
  }
  const name = describeKey(resource);
  const base = bases.get(name);
  const source = { volume, from: snapshot, proof, ...(base === undefined ? {} : { base }) };
  const { plan } = context.job.input as ProtectInput;
  const lockedUntil = lockedUntilOf(context);
  const of = {
    provider: at.provider.name,
    plan: plan.id,
    checkpoint: parseCheckpointId(context.job.id),
    ...(lockedUntil !== null && { lockedUntil }),
  };
  const made = await archiveVolume(context, of, name, source);
  return { copies: [snapshot, made.archive], made };
}

/** Has a volume archived by a job of its own, and makes sure that the archive is proven as was asked. */
export async function archiveVolume(
  context: OperationContext,
  of: Omit<ArchiveVolumeInput, 'source'>,
  name: string,
  source: SnapshotSource,
): Promise<ArchiveVolumeResult> {
  const share = context.progress.share(source.volume.size);
  const input = { ...of, source } satisfies ArchiveVolumeInput;
  const result = await context.child(name, { operation: 'archive-volume', input }, ({ bytes }) =>
    share.reach(bytes.done),
  );
  const made = result as ArchiveVolumeResult;
  if (!proofReaches(made.archive.proof, source.proof)) {
    throw new FafnirError('NOT_PROVEN', `the archive of ${name} did not reach ${source.proof}`);
  }
  share.finish();
  return made;
}

/** What is to become of the array copy of a volume, and of the archive that it does not have yet. */
export function fateOf({
  copies: { required, background, keep, proof },
  changeBase,
}: VolumeDecision): Pick<ProtectedVolume, 'arrayCopy' | 'keep' | 'background'> {
  const later = background.includes('archive') ? { background: proof } : {};
  if (keep === 'all') return { arrayCopy: 'kept', ...later };
  const isBase = changeBase === 'snapshot' && [...required, ...background].includes('archive');
  const arrayCopy = isBase ? 'change-base' : 'removed';
  return { arrayCopy, ...(keep > 0 && { keep }), ...later };
}

/** A volume as its checkpoint has it; null where it has none of it. */
export function protectedVolume(
  supply: SnapshotSupply,
  decision: VolumeDecision | undefined,
  copies: readonly SnapshotCopy[] | undefined,
): ProtectedVolume | null {
  const taken = decision && supply.taken(decision);
  if (decision === undefined || taken === undefined || copies === undefined) return null;
  return {
    volume: taken.copy.volume,
    strategy: decision.strategy,
    consistency: taken.consistency,
    skewMilliseconds: taken.skew,
    pauseMilliseconds: supply.pauseOf(taken),
    ...fateOf(decision),
    copies,
  };
}
