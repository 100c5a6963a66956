import type { CallOptions, CheckpointId, ResourceKey, TenantId } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { openGraph } from './open-graph.ts';
import { type PreviewedResource, shown } from './previews.ts';
import type { RestoreInput } from './restore-input.ts';
import { assertRestorable, findGaps, planRestore, type RestoreMap } from './restore-plan.ts';
import type { OperationServices } from './services.ts';

/** A resource in the preview of a restore. */
export type PreviewedRestore = PreviewedResource & {
  /** What stands for it; null where it would be created. */
  readonly standIn: ResourceKey | null;
  /** True where it was not chosen, but something that was depends on it. */
  readonly added: boolean;
};

/** What restoring a checkpoint would do. */
export type RestorePreview = {
  /** Tells previews apart. */
  readonly operation: 'restore';
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** The provider to restore to. */
  readonly to: string;
  /** What was chosen of it; null for everything. */
  readonly chosen: readonly ResourceKey[] | null;
  /** How originals become what they are there. */
  readonly map: RestoreMap;
  /** What becomes of what was made, where the restore fails. */
  readonly onFailure: 'undo' | 'keep';
  /** What becomes of each resource, dependencies first. */
  readonly resources: readonly PreviewedRestore[];
  /** What stands in the way; a run is refused with `MAPPING_GAP` while there is any. */
  readonly gaps: readonly string[];
  /** Bytes of the volumes that would be restored. */
  readonly bytes: number;
};

/** Previews a restore. */
export async function previewRestore(
  services: OperationServices,
  tenant: TenantId,
  input: Omit<RestoreInput, 'whenBusy'>,
  call: CallOptions,
): Promise<RestorePreview> {
  const { checkpoint, to, map, resources: chosen, onFailure } = input;
  const destination = services.provider(to, tenant);
  const opened = await services.checkpoint(tenant, checkpoint, call);
  const graph = await openGraph(opened.vault, opened.commit.id, opened.commit.graph, call);
  const plan = planRestore(graph, map, chosen);
  const { actions } = plan;
  assertRestorable(opened, graph, plan);
  const created = new Set(
    actions.flatMap(({ resource, standIn }) => (standIn ? [] : [describeKey(resource)])),
  );
  return {
    operation: 'restore',
    checkpoint,
    to,
    chosen,
    map,
    onFailure,
    resources: actions.flatMap(({ resource, standIn, added }) =>
      shown(resource).map((key) => ({ ...key, standIn, added })),
    ),
    gaps: await findGaps(plan, destination, map, call),
    bytes: opened.artifacts
      .filter(({ resource }) => created.has(describeKey(resource)))
      .reduce((sum, { volume }) => sum + (volume?.volume.size ?? 0), 0),
  };
}
