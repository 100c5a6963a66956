import type { CallOptions, PlanRecord, Provider } from '../contracts/index.ts';
import { discover } from '../graph/discover.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';

/** What a plan says of the application to discover. */
type PlannedSelection = Pick<PlanRecord, 'resources' | 'exclude' | 'dependencies' | 'incomplete'>;

/** The application of a plan as the provider sees it now; rejects as `discover` does. */
export async function discoverPlan(
  { resources, exclude, dependencies, incomplete }: PlannedSelection,
  { protectables }: Pick<Provider, 'protectables'>,
  call: CallOptions,
): Promise<ResourceGraph> {
  return discover({ roots: resources, protectables, exclude, dependencies, incomplete }, call);
}
