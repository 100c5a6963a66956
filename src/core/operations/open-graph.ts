import type { CheckpointOwner } from '../archive/keys.ts';
import type { RecordPointer } from '../archive/schema-parts.ts';
import { getGraph } from '../archive/stored-graph.ts';
import type { Bank, CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { ResourceGraph } from '../graph/resource-graph.ts';

/**
 * The graph of a checkpoint, read back. `CORRUPT` where it is not as a graph must be, also where its resources depend
 * on each other: no such graph is ever stored.
 */
export async function openGraph(
  bank: Bank,
  owner: CheckpointOwner,
  pointer: RecordPointer,
  call: CallOptions,
): Promise<ResourceGraph> {
  const stored = await getGraph(bank, owner, pointer, call);
  try {
    return ResourceGraph.from(stored);
  } catch (cause) {
    throw new FafnirError('CORRUPT', `the graph of checkpoint ${owner.id} in bank ${bank.name} has a cycle`, {
      cause,
    });
  }
}
