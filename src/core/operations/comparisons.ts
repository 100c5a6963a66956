import { getArtifacts } from '../archive/artifacts.ts';
import { findCommit } from '../archive/catalog.ts';
import { isDamage } from '../archive/records.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId, SnapshotCopy } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';

/** A checkpoint whose archives others were made from. */
export interface ArchiveBases {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Its archives by resource, as they were committed; undefined where nobody can tell any more. */
  readonly archives: ReadonlyMap<string, SnapshotCopy> | undefined;
}

/** A checkpoint, the one that its archives were made from, and so on, as far as they can be read. */
export async function* basesFrom(
  vault: Vault,
  newest: CheckpointId | null,
  call: CallOptions,
): AsyncGenerator<ArchiveBases> {
  for (let checkpoint = newest; checkpoint !== null; ) {
    call.signal.throwIfAborted();
    const found = await readBases(vault, checkpoint, call);
    yield { checkpoint, archives: found?.archives };
    checkpoint = found?.base ?? null;
  }
}

async function readBases(
  vault: Vault,
  id: CheckpointId,
  call: CallOptions,
): Promise<
  { readonly base: CheckpointId | null; readonly archives: ReadonlyMap<string, SnapshotCopy> } | undefined
> {
  try {
    const commit = await findCommit(vault, id, call);
    if (commit === undefined) return undefined;
    const { artifacts } = await getArtifacts(vault, id, commit.artifacts, call);
    const archives = new Map<string, SnapshotCopy>();
    for (const { resource, volume } of artifacts) {
      const archive = volume?.copies.find(({ kind }) => kind === 'archive');
      if (archive !== undefined) archives.set(describeKey(resource), archive);
    }
    return { base: commit.base, archives };
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
  vault: Vault,
  newest: CheckpointId | null,
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
  for await (const { archives } of basesFrom(vault, newest, call)) {
    // Where nobody can tell, it is time.
    if (archives === undefined) return new Set([...due, ...waiting.keys()]);
    for (const [name, { proof }] of archives) if (proof === 'source-compared') waiting.delete(name);
    uncompared += 1;
    settle();
    if (waiting.size === 0) break;
  }
  return due;
}
