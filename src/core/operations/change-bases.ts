import {
  findCommit,
  listCheckpoints,
  type OpenCheckpoint,
  openCheckpoint,
  stateAtCommit,
} from '../archive/catalog.ts';
import type { Commit } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  ChangedDefault,
  CheckpointId,
  CopyBase,
  PlanRecord,
  ResolvedPolicy,
} from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { changedDefaults } from '../policy/cascade.ts';
import type { EarlierApplications } from './application-changes.ts';
import type { OperationServices } from './services.ts';

// One that is older costs more to look for, with each run, than it saves.
const LOOKED_AT = 100;

/** What a provider has made of a plan. */
export type PlanCheckpoints = {
  /** Where. */
  readonly vault: Vault;
  /** The plan. */
  readonly plan: Pick<PlanRecord, 'id' | 'provider'>;
};

/** By resource, the archive that a new one is compared with. */
export type ChangeBases = ReadonlyMap<string, CopyBase>;

/** What a provider has made of a plan so far. */
export type PlanHistory = {
  /**
   * The checkpoints that have something. Not what was adopted: its instants are not in the order of the checkpoints, and
   * what a new archive is compared with must be older than its snapshot.
   */
  readonly newestFirst: readonly CheckpointId[];
  /** What was decided for the newest of them. */
  readonly policy?: ResolvedPolicy | undefined;
  /** What the application was before. */
  readonly applications: EarlierApplications;
};

/** Looks up what was made of a plan. */
export async function historyOf({ vault, plan }: PlanCheckpoints, call: CallOptions): Promise<PlanHistory> {
  const ids: CheckpointId[] = [];
  const whole: Pick<Commit, 'id' | 'graph' | 'createdAt'>[] = [];
  let damaged = false;
  let policy: ResolvedPolicy | undefined;
  for await (const checkpoint of listCheckpoints(vault, { plan: plan.id }, call)) {
    const { id, state } = checkpoint;
    if (!('graph' in checkpoint)) damaged = true;
    else if (checkpoint.provider === plan.provider && state !== 'removed') {
      const { graph, createdAt, adopted } = checkpoint;
      // Whatever became of its copies since.
      if (stateAtCommit(checkpoint) === 'available') whole.push({ id, graph, createdAt });
      if (state === 'failed' || adopted !== undefined) continue;
      ids.push(id);
      policy = checkpoint.policy;
    }
  }
  // Ids are in the order of the requests, and one that had to queue discovers its application later.
  whole.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
  return { newestFirst: ids.reverse(), policy, applications: { newestFirst: whole, damaged } };
}

/** What was decided otherwise for the newest checkpoint, though nobody chose it for the plan or the call. */
export const changesSince = (
  { policy }: Pick<PlanHistory, 'policy'>,
  now: ResolvedPolicy,
): readonly ChangedDefault[] => (policy === undefined ? [] : changedDefaults(policy, now));

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

/** The first of some checkpoints with archives that new ones can be compared with, or null. */
export async function archiveBase(
  vault: Vault,
  newestFirst: readonly CheckpointId[],
  call: CallOptions,
): Promise<CheckpointId | null> {
  for (const id of newestFirst.slice(0, LOOKED_AT)) {
    const opened = await openUnlessDamaged(vault, id, call);
    if (opened !== undefined && changeBases(opened).size > 0) return id;
  }
  return null;
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
