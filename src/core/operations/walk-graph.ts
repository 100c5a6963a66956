import type { ResourceGraph } from '../graph/resource-graph.ts';
import { walk } from '../graph/walk.ts';
import type { WalkPhase } from '../graph/walk-phase.ts';
import type { WalkResult } from '../graph/walk-result.ts';
import type { OperationContext } from '../jobs/operation.ts';

/**
 * Takes the resources of a job's graph through phases, each of which bounds its own calls. Rejects where the job should
 * stop, and with the first failure where one is all it takes: with `fail`, or if nothing was done.
 */
export async function walkGraph(
  context: OperationContext,
  graph: ResourceGraph,
  phases: readonly WalkPhase[],
  onFailure: 'fail' | 'continue',
): Promise<WalkResult> {
  const { signal } = context;
  const nextTurn = (): Promise<void> => context.nextTurn();
  const result = await walk(
    { graph, phases, onFailure, concurrency: Number.POSITIVE_INFINITY, nextTurn },
    { signal },
  );
  signal.throwIfAborted();
  const [first] = result.failures;
  if (first !== undefined && (onFailure === 'fail' || result.counts.done === 0)) throw first.error;
  return result;
}
