import { getArtifacts } from '../archive/artifacts.ts';
import { findCommit, listCheckpoints, withAdded } from '../archive/catalog.ts';
import { getAddenda } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId, SnapshotCopy } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import type { PlanCheckpoints } from './change-bases.ts';

/** A checkpoint whose archives others may have been made from. */
export interface ArchiveBases {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Its archives by resource, as they were made; undefined where nobody can tell any more. */
  readonly archives: ReadonlyMap<string, SnapshotCopy> | undefined;
}

/**
 * What was made of a plan, the newest first; only what is older than a checkpoint where one is given. Not what was adopted,
 * whose archives are made from nothing older.
 */
export async function* olderArchives(
  of: PlanCheckpoints,
  than: CheckpointId | undefined,
  call: CallOptions,
): AsyncGenerator<ArchiveBases> {
  const oldestFirst: CheckpointId[] = [];
  for await (const checkpoint of listCheckpoints(of.vault, { plan: of.plan.id }, call)) {
    if (checkpoint.id === than) break;
    const isOther =
      'provider' in checkpoint &&
      (checkpoint.provider !== of.plan.provider || checkpoint.adopted !== undefined);
    if (checkpoint.state !== 'removed' && !isOther) oldestFirst.push(checkpoint.id);
  }
  for (const checkpoint of oldestFirst.toReversed()) {
    call.signal.throwIfAborted();
    yield { checkpoint, archives: await readArchives(of.vault, checkpoint, call) };
  }
}

async function readArchives(
  vault: Vault,
  id: CheckpointId,
  call: CallOptions,
): Promise<ReadonlyMap<string, SnapshotCopy> | undefined> {
  try {
    const commit = await findCommit(vault, id, call);
    if (commit === undefined) return undefined;
    const { artifacts } = await getArtifacts(vault, id, commit.artifacts, call);
    const archives = new Map<string, SnapshotCopy>();
    for (const { resource, volume } of withAdded(artifacts, await getAddenda(vault, id, call))) {
      const archive = volume?.copies.find(({ kind }) => kind === 'archive');
      if (archive !== undefined) archives.set(describeKey(resource), archive);
    }
    return archives;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/**
 * The resources whose next archive is to be compared with its source, where one of so many in a row is to be: those of
 * which none of the archives before was. Reads no more checkpoints than the largest of these numbers.
 */
export async function dueForComparison(
  of: PlanCheckpoints,
  every: ReadonlyMap<string, number>,
  call: CallOptions,
): Promise<ReadonlySet<string>> {
  const due = new Set<string>();
  const waiting = new Map(every);
  let uncompared = 0;
  const settle = (): void => {
    for (const [name, number] of waiting) {
      if (uncompared + 1 < number) continue;
      due.add(name);
      waiting.delete(name);
    }
  };
  settle();
  if (waiting.size === 0) return due;
  for await (const { archives } of olderArchives(of, undefined, call)) {
    // Where nobody can tell, it is time.
    if (archives === undefined) return new Set([...due, ...waiting.keys()]);
    if (archives.size === 0) continue;
    for (const [name, { proof }] of archives) if (proof === 'source-compared') waiting.delete(name);
    uncompared += 1;
    settle();
    if (waiting.size === 0) break;
  }
  return due;
}
