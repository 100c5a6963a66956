import type { RecordPointer } from '../archive/schema-parts.ts';
import { getGraph } from '../archive/stored-graph.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { ResourceGraph } from '../graph/resource-graph.ts';

/**
 * The graph of a checkpoint, read back. `CORRUPT` where it is not as a graph must be, also where its resources depend
 * on each other: no such graph is ever stored.
 */
export async function openGraph(
  vault: Vault,
  checkpoint: CheckpointId,
  pointer: RecordPointer,
  call: CallOptions,
): Promise<ResourceGraph> {
  const stored = await getGraph(vault, checkpoint, pointer, call);
  try {
    return ResourceGraph.from(stored);
  } catch (cause) {
    throw new FafnirError(
      'CORRUPT',
      `the graph of checkpoint ${checkpoint} in bank ${vault.bank.name} has a cycle`,
      {
        cause,
      },
    );
  }
}
