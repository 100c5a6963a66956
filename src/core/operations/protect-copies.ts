import type { ProtectedVolume } from '../archive/artifacts.ts';
import { listCheckpoints, type OpenCheckpoint, proofReaches } from '../archive/catalog.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  CheckpointId,
  CopySource,
  PlanRecord,
  Provider,
  SnapshotCopy,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import type { OperationContext } from '../jobs/operation.ts';
import type { ArchiveInput, ArchiveResult } from './archive.ts';
import type { VolumeDecision } from './protect-plan.ts';

/** By resource, the archive that a new one is compared with. */
export type ChangeBases = ReadonlyMap<string, NonNullable<CopySource['base']>>;

/** What was made of a volume. */
export interface MadeCopies {
  /** Its copies. */
  readonly copies: readonly SnapshotCopy[];
  /** The archive among them, and how its array was found to call unchanged what was not, where it was. */
  readonly distrusted?: { readonly archive: SnapshotCopy; readonly how: string };
}

/** The copies that a checkpoint of a volume must have before it counts: the snapshot, and what is made from it. */
export async function makeCopies(
  context: OperationContext,
  provider: Provider,
  { resource, volume, copies }: VolumeDecision,
  snapshot: SnapshotCopy,
  bases: ChangeBases,
): Promise<MadeCopies> {
  const name = describeKey(resource);
  const share = context.progress.share(volume.size);
  const made = [snapshot];
  let distrusted: MadeCopies['distrusted'];
  if (copies.required.includes('archive')) {
    const base = bases.get(name);
    const { proof } = copies;
    const source = { volume, from: snapshot, proof, ...(base === undefined ? {} : { base }) };
    const input = { provider: provider.name, source } satisfies ArchiveInput;
    const result = await context.child(name, { operation: 'archive', input }, ({ bytes }) =>
      share.reach(bytes.done),
    );
    const { archive, distrusted: how } = result as ArchiveResult;
    if (!proofReaches(archive.proof, proof)) {
      throw new FafnirError('NOT_PROVEN', `the archive of ${name} did not reach ${proof}`);
    }
    made.push(archive);
    if (how !== undefined) distrusted = { archive, how };
  }
  share.finish();
  return { copies: made, ...(distrusted && { distrusted }) };
}

/** The newest checkpoint of the plan that its provider made and that has something to compare with. */
export async function newestCheckpoint(
  vault: Vault,
  plan: Pick<PlanRecord, 'id' | 'provider'>,
  call: CallOptions,
): Promise<CheckpointId | null> {
  let newest: CheckpointId | null = null;
  for await (const checkpoint of listCheckpoints(vault, { plan: plan.id }, call)) {
    const isWhole = checkpoint.state === 'available' || checkpoint.state === 'partial';
    if (isWhole && checkpoint.provider === plan.provider) newest = checkpoint.id;
  }
  return newest;
}

/** What a checkpoint has for later archives to be compared with. */
export function changeBases(of: Pick<OpenCheckpoint, 'artifacts'>): ChangeBases {
  const bases = new Map<string, NonNullable<CopySource['base']>>();
  for (const { resource, volume } of of.artifacts) {
    const copy = volume?.copies.find(({ kind }) => kind === 'archive');
    const from = volume?.copies.find(({ kind }) => kind === 'array');
    if (copy !== undefined) bases.set(describeKey(resource), from === undefined ? { copy } : { copy, from });
  }
  return bases;
}

/** What is to become of the array copy of a volume. */
export function fateOf({ copies, changeBase }: VolumeDecision): ProtectedVolume['arrayCopy'] {
  if (!copies.removed.includes('array')) return 'kept';
  return changeBase === 'snapshot' ? 'change-base' : 'removed';
}
