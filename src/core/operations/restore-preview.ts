import type { CallOptions, CheckpointId, ResourceKey, TenantId, VolumeRef } from '../contracts/index.ts';
import { describeKey } from '../graph/resource-graph.ts';
import {
  assertOverwritable,
  findTargets,
  type Overwrite,
  overwriteGaps,
  type OverwriteTargets,
  planOverwrites,
} from './overwrite-plan.ts';
import { openGraph } from './open-graph.ts';
import { type PreviewedResource, shown } from './previews.ts';
import { conflictGaps, type ConflictPolicy, findConflicts, planAround } from './restore-conflicts.ts';
import { copiesIn } from './restore-data.ts';
import { findGaps } from './restore-gaps.ts';
import type { RestoreInput } from './restore-input.ts';
import type { RestoreRequest } from './restore-new.ts';
import { assertRestorable, type RestoreMap } from './restore-plan.ts';
import { isProbed } from './restore-probes.ts';
import { findReplaced } from './restore-replace.ts';
import {
  clonableFrom,
  planBytes,
  type PlannedBytes,
  revertibleTo,
  type WaysRequest,
} from './restore-ways.ts';
import type { OperationServices } from './services.ts';

/** A resource in the preview of a restore. */
export type PreviewedRestore = PreviewedResource & {
  /** What stands for it, or holds its bytes afterwards; null where it would be created. */
  readonly standIn: ResourceKey | null;
  /** True where it was not chosen, but something that was depends on it. */
  readonly added: boolean;
  /** What is there of its type and name, where the restore heeds that. */
  readonly conflict: ResourceKey | null;
  /** The volume that would be overwritten, where it is there. */
  readonly overwrites: VolumeRef | null;
  /** Whether it would have to serve before the restore has succeeded. */
  readonly probed: boolean;
  /** How its volume would get its bytes, and from which copy; null where it has none, or nothing is done to it. */
  readonly data: PlannedBytes | null;
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
  /** The array or bank whose copies would serve; null for whichever serve best. */
  readonly location: string | null;
  /** How originals become what they are there. */
  readonly map: RestoreMap;
  /** Whether resources would be created, or volumes that exist overwritten. */
  readonly into: 'new' | 'existing';
  /** What becomes of what has the type and name of something that is there; null where nobody looks. */
  readonly conflict: ConflictPolicy | null;
  /** Whether volumes would be protected before they are overwritten. */
  readonly safety: 'checkpoint' | 'none';
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
  { resources: chosen, ...input }: Omit<RestoreInput, 'whenBusy'>,
  call: CallOptions,
): Promise<RestorePreview> {
  const destination = services.provider(input.to, tenant);
  const opened = copiesIn(await services.checkpoint(tenant, input.checkpoint, call), input.location);
  const graph = await openGraph(opened.vault, opened.commit.id, opened.commit.graph, call);
  const preview = input.into === 'existing' ? previewExisting : previewNew;
  const request = { services, opened, graph, destination };
  const found = await preview(request, { ...input, resources: chosen }, call);
  return { operation: 'restore', ...input, chosen, ...found };
}

type Asked = Omit<RestoreInput, 'checkpoint' | 'whenBusy'>;
type PreviewRequest = RestoreRequest & { readonly services: OperationServices };
type Found = Pick<RestorePreview, 'resources' | 'gaps' | 'bytes'>;

async function previewNew(
  { services, opened, graph, destination }: PreviewRequest,
  input: Asked,
  call: CallOptions,
): Promise<Found> {
  const { map, conflict } = input;
  const request = { opened, graph, destination };
  const { plan, conflicts } = await planAround(request, input, (found) =>
    findConflicts(found, destination, call),
  );
  const { actions, overwrites } = plan;
  assertRestorable(opened, graph, plan);
  assertOverwritable(opened, graph, overwrites);
  const replaced = await findReplaced(plan, request, call);
  const created = new Set(
    actions.flatMap(({ resource, standIn }) => (standIn ? [] : [describeKey(resource)])),
  );
  const restored = opened.artifacts.filter(({ resource }) => created.has(describeKey(resource)));
  const data = new Map(
    restored.map(({ resource, volume }) => {
      const copies = volume?.copies ?? [];
      const usable = clonableFrom(services, request, copies, resource);
      return [describeKey(resource), planBytes('clone', usable, copies)];
    }),
  );
  for (const one of overwrites)
    data.set(describeKey(one.resource), plannedOver(services, request, one, replaced.volumes));
  return {
    resources: actions.flatMap(({ position, resource, standIn, added }) =>
      shown(resource).map((key) => {
        const [conflict = null] = conflicts.get(describeKey(resource)) ?? [];
        const name = describeKey(resource);
        const overwrites = replaced.volumes.get(position) ?? null;
        const probed = standIn === null && isProbed(destination, resource);
        return { ...key, standIn, added, conflict, overwrites, probed, data: data.get(name) ?? null };
      }),
    ),
    gaps: [
      ...(await findGaps(plan, request, map, call)),
      ...conflictGaps(plan, conflicts, conflict, destination),
      ...replaced.gaps,
    ],
    bytes: [...restored, ...overwrites].reduce((sum, { volume }) => sum + (volume?.volume.size ?? 0), 0),
  };
}

async function previewExisting(
  { services, opened, graph, destination }: PreviewRequest,
  input: Asked,
  call: CallOptions,
): Promise<Found> {
  const { map, resources } = input;
  const overwrites = planOverwrites(graph, opened, destination, map, resources);
  assertOverwritable(opened, graph, overwrites);
  const { volumes, gaps } = await findTargets(overwrites, opened.commit, destination, call);
  return {
    resources: overwrites.flatMap((one) =>
      shown(one.resource).map((key) => ({
        ...key,
        standIn: one.target,
        added: one.added,
        conflict: null,
        overwrites: volumes.get(one.position) ?? null,
        probed: false,
        data: plannedOver(services, { opened, destination }, one, volumes),
      })),
    ),
    gaps: [...gaps, ...overwriteGaps(overwrites, map)],
    bytes: overwrites.reduce((sum, { volume }) => sum + (volume?.volume.size ?? 0), 0),
  };
}

function plannedOver(
  services: OperationServices,
  request: WaysRequest,
  { position, volume }: Overwrite,
  volumes: OverwriteTargets['volumes'],
): PlannedBytes | null {
  const [target, copies] = [volumes.get(position), volume?.copies ?? []];
  if (target === undefined) return null;
  return planBytes('revert', revertibleTo(services, request, copies, target), copies);
}
