import { putAddendum } from '../archive/checkpoint.ts';
import type { Commit, CopyKey } from '../archive/checkpoint.ts';
import type {
  CheckpointId,
  CopyKind,
  HeldCopies,
  PlanId,
  Provider,
  SnapshotCopy,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';
import type { Leftovers } from '../jobs/leftovers.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { mapSettled } from '../map-settled.ts';
import { ArchiveCopies } from './archive-copies.ts';
import { ArrayCopies } from './array-copies.ts';
import { externalStore } from './external-copies.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

// An array that takes fewer says so, and is heeded.
const REMOVALS_AT_ONCE = 16;

/** The copy store that holds a copy of a checkpoint; `UNKNOWN_ARRAY` or `UNKNOWN_PROVIDER` where it is not here. */
export function storeOf(
  services: OperationServices,
  commit: Pick<Commit, 'tenant' | 'provider'>,
  copy: SnapshotCopy,
): HeldCopies {
  if (copy.kind === 'array') return new ArrayCopies(services.provider(commit.provider, commit.tenant));
  if (copy.kind === 'external') {
    return externalStore(services.provider(commit.provider, commit.tenant), copy.location);
  }
  return new ArchiveCopies(services.vault(copy.location, commit.tenant), services.archiving);
}

/** What a job that works on a checkpoint is about. */
export const subjectOf = ({
  commit: { id, plan, provider },
}: Pick<OpenedCheckpoint, 'commit'>): { provider: string; plan: PlanId; checkpoint: CheckpointId } => ({
  provider,
  plan: plan.id,
  checkpoint: id,
});

/** The copies on arrays that a checkpoint counts on. */
export const arrayCopiesOf = ({ artifacts }: Pick<OpenedCheckpoint, 'artifacts'>): readonly SnapshotCopy[] =>
  artifacts.flatMap(({ volume }) => volume?.copies.filter(({ kind }) => kind === 'array') ?? []);

/** The copies that a checkpoint counts on and its bank does not hold: on arrays and with services outside. */
export const copiesOutside = ({ artifacts }: Pick<OpenedCheckpoint, 'artifacts'>): readonly SnapshotCopy[] =>
  artifacts.flatMap(({ volume }) => volume?.copies.filter(({ kind }) => kind !== 'archive') ?? []);

/**
 * Those to read from first. An archive can be checked while it is read, and does not load the array that is worked on; what
 * a service outside has comes last, for it must be restored to be read.
 */
export const bestFirst = (copies: readonly SnapshotCopy[]): readonly SnapshotCopy[] =>
  copies.toSorted((a, b) => RANKS[a.kind] - RANKS[b.kind]);

const RANKS: Readonly<Record<CopyKind, number>> = { archive: 0, array: 1, external: 2 };

/** Whether an error says that this engine has no way to a copy, which tells nothing of the copy. */
export const isUnreachable = (error: unknown): boolean =>
  FafnirError.is(error, 'UNKNOWN_ARRAY') || FafnirError.is(error, 'UNKNOWN_PROVIDER');

/** The store that makes archives of a provider's volumes, locked until an instant where one is given. */
export const archivesOf = (
  services: OperationServices,
  provider: Provider,
  tenant: TenantId,
  lockedUntil: number | null,
): ArchiveCopies =>
  new ArchiveCopies(
    services.vault(provider.bank.name, tenant).lockedUntil(lockedUntil),
    services.archiving,
    new ArrayCopies(provider),
  );

/** How addenda name a copy. */
export const copyKeyOf = ({ volume, kind, location }: SnapshotCopy): CopyKey => ({
  volume: { array: volume.array, id: volume.id },
  copy: { kind, location },
});

/**
 * Whether a copy stays where it is though its checkpoint gives it up: a snapshot that was adopted and is left to those who
 * made it, or whose adoption was undone.
 */
export const isLeft = (
  { commit: { adopted, job }, removedBy }: Pick<OpenedCheckpoint, 'commit' | 'removedBy'>,
  { kind }: Pick<SnapshotCopy, 'kind'>,
): boolean =>
  kind === 'array' && adopted !== undefined && (adopted.ownership === 'leave' || removedBy === job);

/**
 * Removes a copy of a committed checkpoint, unless it is left. The addendum comes first: a copy that is still there though the
 * checkpoint no longer counts on it can be found again, one that is counted on but gone would be a lie.
 */
export async function removeCopy(
  context: OperationContext,
  services: OperationServices,
  of: Pick<OpenedCheckpoint, 'vault' | 'commit' | 'removedBy'>,
  copy: SnapshotCopy,
): Promise<void> {
  await context.effect(removalOf(of.commit, copy), async (call) => {
    const at = new Date(context.clock.now()).toISOString();
    const addendum = { kind: 'copy-removed', job: context.job.id, at, ...copyKeyOf(copy) } as const;
    await putAddendum(of.vault, of.commit.id, addendum, call);
    if (!isLeft(of, copy)) await storeOf(services, of.commit, copy).remove(copy, call);
    return null;
  });
}

/** Removes copies as {@link removeCopy} does, several at once; what cannot be removed is a leftover. */
export async function removeCopies(
  context: OperationContext,
  services: OperationServices,
  leftovers: Leftovers,
  of: Pick<OpenedCheckpoint, 'vault' | 'commit' | 'removedBy'>,
  copies: readonly SnapshotCopy[],
): Promise<void> {
  const { signal } = context;
  await mapSettled(
    copies,
    (copy) =>
      leftovers.attempt(`remove the ${copy.kind} copy of volume ${copy.volume.id} in ${copy.location}`, () =>
        removeCopy(context, services, of, copy),
      ),
    { concurrency: REMOVALS_AT_ONCE, signal },
  );
}

/** Whether this job has begun to remove a copy: a worker that died may have given it up and not removed it. */
export const isRemoving = (
  context: OperationContext,
  { commit }: Pick<OpenedCheckpoint, 'commit'>,
  copy: SnapshotCopy,
): boolean => context.intents().includes(removalOf(commit, copy));

const removalOf = ({ id }: Commit, { kind, location, volume }: SnapshotCopy): string =>
  joinParts('remove', id, kind, location, volume.array, volume.id);
