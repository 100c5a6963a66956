import { findCommit, listCheckpoints, type OpenCheckpoint, openCheckpoint } from '../archive/catalog.ts';
import { isDamage } from '../archive/records.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId, CopyBase, PlanRecord } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import type { OperationContext } from '../jobs/operation.ts';
import type { OperationServices } from './services.ts';

/** What a provider has made of a plan. */
export type PlanCheckpoints = {
  /** Where. */
  readonly vault: Vault;
  /** The plan. */
  readonly plan: Pick<PlanRecord, 'id' | 'provider'>;
};

/** By resource, the archive that a new one is compared with. */
export type ChangeBases = ReadonlyMap<string, CopyBase>;

/** Checkpoints of a plan that its provider made and that have something, the newest first. */
export async function wholeCheckpoints(
  { vault, plan }: PlanCheckpoints,
  call: CallOptions,
): Promise<readonly CheckpointId[]> {
  const ids: CheckpointId[] = [];
  for await (const checkpoint of listCheckpoints(vault, { plan: plan.id }, call)) {
    const isWhole = checkpoint.state === 'available' || checkpoint.state === 'partial';
    if (isWhole && checkpoint.provider === plan.provider) ids.push(checkpoint.id);
  }
  return ids.reverse();
}

/** A checkpoint, or undefined where it is damaged or gone. */
export async function openUnlessDamaged(
  vault: Vault,
  id: CheckpointId,
  call: CallOptions,
): Promise<OpenCheckpoint | undefined> {
  try {
    const commit = await findCommit(vault, id, call);
    return commit && (await openCheckpoint(vault, commit, call));
  } catch (error) {
    if (!isDamage(error)) throw error;
    return undefined;
  }
}

/** The newest checkpoint with archives that new ones can be compared with; of those made before another where given. */
export async function archiveBase(
  of: PlanCheckpoints,
  before: CheckpointId | undefined,
  call: CallOptions,
): Promise<OpenCheckpoint | undefined> {
  const newestFirst = await wholeCheckpoints(of, call);
  for (const id of newestFirst.slice(before === undefined ? 0 : newestFirst.indexOf(before) + 1)) {
    const opened = await openUnlessDamaged(of.vault, id, call);
    if (opened !== undefined && changeBases(opened).size > 0) return opened;
  }
  return undefined;
}

/** What a checkpoint has to compare with. One that was damaged or removed meanwhile only costs the time it would have saved. */
export async function basesOf(
  context: OperationContext,
  services: OperationServices,
  base: CheckpointId | null,
): Promise<ChangeBases> {
  if (base === null) return new Map();
  try {
    return changeBases(await context.retry((call) => services.checkpoint(context.job.tenant, base, call)));
  } catch (error) {
    if (isDamage(error)) return new Map();
    throw error;
  }
}

function changeBases({ artifacts }: Pick<OpenCheckpoint, 'artifacts'>): ChangeBases {
  const bases = new Map<string, CopyBase>();
  for (const { resource, volume } of artifacts) {
    const copy = volume?.copies.find(({ kind }) => kind === 'archive');
    const from = volume?.copies.find(({ kind }) => kind === 'array');
    if (copy !== undefined) bases.set(describeKey(resource), from === undefined ? { copy } : { copy, from });
  }
  return bases;
}
