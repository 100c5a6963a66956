import type { Vault } from '../archive/vault.ts';
import type { CheckpointId, Provider, SnapshotCopy } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { dueForComparison } from './comparisons.ts';
import { distrust } from './distrust.ts';
import { type ChangeBases, makeCopies } from './protect-copies.ts';
import type { VolumeDecision } from './protect-plan.ts';

/** What copies are made with. */
export interface CopyRequest {
  /** The provider. */
  readonly provider: Provider;
  /** Where archives go. */
  readonly vault: Vault;
  /** All volumes of the job. */
  readonly volumes: readonly VolumeDecision[];
  /** What archives are made from. */
  readonly bases: ChangeBases;
  /** The checkpoint that has these bases. */
  readonly newest: CheckpointId | null;
}

/** Makes the copies of one volume from its snapshot. */
export type MakeCopies = (
  decision: VolumeDecision,
  snapshot: SnapshotCopy,
) => Promise<readonly SnapshotCopy[]>;

/**
 * Makes copies, and compares archives with their sources as often as strategies ask. Where that finds an array out,
 * earlier archives that relied on it are called lost.
 */
export async function copyMaker(context: OperationContext, request: CopyRequest): Promise<MakeCopies> {
  const { provider, vault, volumes, bases, newest } = request;
  const due = await context.retry((call) => dueForComparison(vault, newest, intervalsOf(volumes), call));
  return async (decision, snapshot) => {
    const resource = describeKey(decision.resource);
    // A worker that goes on with the job must ask for the same archive, whatever has become of older ones meanwhile.
    const isDue =
      decision.copies.compareEvery !== undefined &&
      (await context.step(`compare/${resource}`, async () => due.has(resource)));
    const wanted = isDue ? compared(decision) : decision;
    const { copies, distrusted } = await makeCopies(context, provider, wanted, snapshot, bases);
    if (distrusted !== undefined) {
      const { archive, how } = distrusted;
      await distrust(context, vault, { resource, newest, archive }, how);
    }
    return copies;
  };
}

// By resource, of how many archives one is compared.
const intervalsOf = (volumes: readonly VolumeDecision[]): ReadonlyMap<string, number> =>
  new Map(
    volumes.flatMap(({ resource, copies: { compareEvery } }) =>
      compareEvery === undefined ? [] : [[describeKey(resource), compareEvery] as const],
    ),
  );

const compared = (decision: VolumeDecision): VolumeDecision => ({
  ...decision,
  copies: { ...decision.copies, proof: 'source-compared' },
});
