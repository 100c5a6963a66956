import { openCheckpoint, findCommit } from '../archive/catalog.ts';
import { putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId, SnapshotCopy } from '../contracts/index.ts';
import type { OperationContext } from '../jobs/operation.ts';
import type { PlanCheckpoints } from './change-bases.ts';
import { olderArchives } from './comparisons.ts';
import { copyKeyOf } from './copies.ts';

const DISTRUST = 'distrust';
const LONGEST_REASON = 1_024;

/** An array that called unchanged what was not. */
export type DistrustedArray = {
  /** The array's name. */
  readonly array: string;
  /** Volumes of which it was found out. */
  readonly volumes: number;
  /** How it was found out of the first. */
  readonly reason: string;
  /** Archives in earlier checkpoints that do not count any more, because they relied on it and were never compared. */
  readonly lost: number;
};

/** What was found out of one volume. */
type Finding = Pick<DistrustedArray, 'array' | 'reason' | 'lost'>;

/**
 * Tells that an array called unchanged what was not, and takes back what was said of earlier archives of the volume that
 * relied on it: since the last one that was compared with its source, nobody knows which of them are right.
 */
export async function distrust(
  context: OperationContext,
  of: PlanCheckpoints,
  found: {
    /** The volume's resource. */
    readonly resource: string;
    /** The archive that was compared. */
    readonly archive: SnapshotCopy;
    /** Its checkpoint, if there is one yet. */
    readonly checkpoint?: CheckpointId;
    /** How it was found out. */
    readonly how: string;
  },
): Promise<void> {
  const { vault } = of;
  const { array, id: volume } = found.archive.volume;
  const { job } = context;
  const find = async (call: CallOptions): Promise<Finding> => {
    const reason =
      `array ${array} called bytes of volume ${volume} unchanged that were not: ${found.how}`.slice(
        0,
        LONGEST_REASON,
      );
    const checkpoints: CheckpointId[] = [];
    for (const { checkpoint, copy } of await relyingOn(of, found, call)) {
      if (!(await isCounted(vault, checkpoint, copy, call))) continue;
      const at = new Date(context.clock.now()).toISOString();
      const lost = { kind: 'copy-lost', job: job.id, at, by: 'source', reason, ...copyKeyOf(copy) } as const;
      await putAddendum(vault, checkpoint, lost, call);
      checkpoints.push(checkpoint);
    }
    context.emit({
      type: 'array.distrusted',
      job: job.id,
      tenant: job.tenant,
      array,
      volume,
      reason,
      checkpoints,
    });
    return { array, reason, lost: checkpoints.length };
  };
  const { id: plan, provider } = of.plan;
  await context.toldEffect(`${DISTRUST}/${found.resource}`, find, ({ lost }) => ({
    action: 'array.distrusted',
    object: { plan, provider, array, volume, lost: String(lost) },
  }));
}

/** What the job found out of arrays, for its result; nothing where it found nothing. */
export function distrustedBy(context: OperationContext): {
  readonly distrusted?: readonly DistrustedArray[];
} {
  const arrays = new Map<string, DistrustedArray>();
  for (const value of context.results(`${DISTRUST}/`).values()) {
    const { array, reason, lost } = value as Finding;
    const known = arrays.get(array) ?? { array, volumes: 0, reason, lost: 0 };
    arrays.set(array, { ...known, volumes: known.volumes + 1, lost: known.lost + lost });
  }
  return arrays.size === 0 ? {} : { distrusted: [...arrays.values()] };
}

/** Archives of the volume since the last that was compared, but for one that was made without an older one. */
async function relyingOn(
  of: PlanCheckpoints,
  { resource, checkpoint: than }: { readonly resource: string; readonly checkpoint?: CheckpointId },
  call: CallOptions,
): Promise<readonly { readonly checkpoint: CheckpointId; readonly copy: SnapshotCopy }[]> {
  const relying: { checkpoint: CheckpointId; copy: SnapshotCopy }[] = [];
  let isOldestWhole = true;
  for await (const { checkpoint, archives } of olderArchives(of, than, call)) {
    const copy = archives?.get(resource);
    // Only its snapshot was kept.
    if (archives !== undefined && copy === undefined) continue;
    if (copy === undefined || copy.proof === 'source-compared') {
      isOldestWhole = false;
      break;
    }
    relying.push({ checkpoint, copy });
  }
  if (isOldestWhole) relying.pop();
  return relying;
}

async function isCounted(
  vault: Vault,
  checkpoint: CheckpointId,
  copy: SnapshotCopy,
  call: CallOptions,
): Promise<boolean> {
  try {
    const commit = await findCommit(vault, checkpoint, call);
    if (commit === undefined) return false;
    const { state, artifacts } = await openCheckpoint(vault, commit, call);
    const copies = artifacts.flatMap(({ volume }) => volume?.copies ?? []);
    return (
      state !== 'removed' &&
      copies.some(
        ({ kind, volume }) =>
          kind === 'archive' && volume.id === copy.volume.id && volume.array === copy.volume.array,
      )
    );
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}
