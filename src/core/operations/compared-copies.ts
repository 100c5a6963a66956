import { describeKey } from '../graph/resource-graph.ts';
import type { OperationContext } from '../jobs/operation.ts';
import type { PlanCheckpoints } from './change-bases.ts';
import { dueForComparison } from './comparisons.ts';
import type { SnapshotPlan, VolumeDecision } from './protect-plan.ts';

/** Asks for archives to be compared with their sources where strategies want that of one of so many in a row. */
export async function withComparisons(
  context: OperationContext,
  of: PlanCheckpoints,
  { groups, failures }: SnapshotPlan,
): Promise<SnapshotPlan> {
  const every = new Map<string, number>();
  for (const { resource, copies } of groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members))) {
    if (copies.compareEvery !== undefined) every.set(describeKey(resource), copies.compareEvery);
  }
  if (every.size === 0) return { groups, failures };
  const due = await context.retry((call) => dueForComparison(of, every, call));
  const compared = async (decision: VolumeDecision): Promise<VolumeDecision> => {
    const resource = describeKey(decision.resource);
    if (!every.has(resource)) return decision;
    // A worker that goes on with the job must ask for the same archive, whatever has become of older ones meanwhile.
    const isDue = await context.step(`compare/${resource}`, async () => due.has(resource));
    return isDue ? { ...decision, copies: { ...decision.copies, proof: 'source-compared' } } : decision;
  };
  const asked = groups.map(async ({ pausable, calls }) => ({
    pausable,
    calls: await Promise.all(
      calls.map(async (one) => ({ ...one, members: await Promise.all(one.members.map(compared)) })),
    ),
  }));
  return { groups: await Promise.all(asked), failures };
}
