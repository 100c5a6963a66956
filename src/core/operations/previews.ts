import type { Consistency, ProtectedVolume, StrategyChoice } from '../archive/artifacts.ts';
import { getGraph, graphDigest } from '../archive/stored-graph.ts';
import type {
  CallOptions,
  CheckpointId,
  CopyKind,
  PlanId,
  ResourceKey,
  SnapshotCopy,
  TenantId,
  VolumeRef,
} from '../contracts/index.ts';
import { discover } from '../graph/discover.ts';
import { describeKey, ResourceGraph } from '../graph/resource-graph.ts';
import { fateOf, newestCheckpoint } from './protect.ts';
import { planSnapshots } from './protect-plan.ts';
import { assertAvailable } from './restore.ts';
import { findGaps, planRestore, type RestoreMap } from './restore-plan.ts';
import type { OperationServices } from './services.ts';

/** A resource in a preview. */
export type PreviewedResource = ResourceKey & {
  /** What its owner calls it. */
  readonly name: string;
};

/** A volume in a preview. */
export type PreviewedVolume = {
  /** The resource that holds the data. */
  readonly resource: ResourceKey;
  /** Its volume. */
  readonly volume: VolumeRef;
  /** The strategy that decided. */
  readonly strategy: StrategyChoice;
  /** The copies that must exist before the checkpoint counts. */
  readonly copies: readonly CopyKind[];
  /** What is to become of the array copy. */
  readonly arrayCopy: ProtectedVolume['arrayCopy'];
};

/** One call to an array in a preview. */
export type PreviewedSnapshot = {
  /** The array's name. */
  readonly array: string;
  /** What the call would achieve. */
  readonly consistency: Consistency;
  /** The volumes that it takes. */
  readonly volumes: readonly PreviewedVolume[];
};

/** A resource in the preview of a restore. */
export type PreviewedRestore = PreviewedResource & {
  /** What stands for it; null where it would be created. */
  readonly standIn: ResourceKey | null;
};

/** What protecting a plan would do. */
export type ProtectPreview = {
  /** Tells previews apart. */
  readonly operation: 'protect';
  /** The plan. */
  readonly plan: PlanId;
  /** Tells the graph from any other: a run of this preview refuses another with `DRIFTED`. */
  readonly graph: string;
  /** What would be protected, dependencies first. */
  readonly resources: readonly PreviewedResource[];
  /** The calls to arrays. */
  readonly snapshots: readonly PreviewedSnapshot[];
  /** Bytes of the volumes. */
  readonly bytes: number;
  /** The earlier checkpoint that archives would be compared with. */
  readonly base: CheckpointId | null;
};

/** What restoring a checkpoint would do. */
export type RestorePreview = {
  /** Tells previews apart. */
  readonly operation: 'restore';
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** The provider to restore to. */
  readonly to: string;
  /** How originals become what they are there. */
  readonly map: RestoreMap;
  /** What becomes of each resource, dependencies first. */
  readonly resources: readonly PreviewedRestore[];
  /** What stands in the way; a run is refused with `MAPPING_GAP` while there is any. */
  readonly gaps: readonly string[];
  /** Bytes of the volumes that would be restored. */
  readonly bytes: number;
};

/** What verifying or removing a checkpoint would read or remove. */
export type CopiesPreview<Name extends 'verify' | 'remove'> = {
  /** Tells previews apart. */
  readonly operation: Name;
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Its copies. */
  readonly copies: readonly SnapshotCopy[];
  /** Bytes of the volumes in them. */
  readonly bytes: number;
};

/** What an operation would do: plain data that can be shown, stored and sent. */
export type Preview = ProtectPreview | RestorePreview | CopiesPreview<'verify'> | CopiesPreview<'remove'>;

/** Previews protecting a plan. */
export async function previewProtect(
  services: OperationServices,
  tenant: TenantId,
  id: PlanId,
  call: CallOptions,
): Promise<ProtectPreview> {
  const plan = await services.plan(tenant, id);
  const provider = services.provider(plan.provider);
  const graph = await discover({ roots: plan.resources, protectables: provider.protectables }, call);
  const groups = await planSnapshots(graph, provider, (_name, ask) => ask(), call);
  const calls = groups.flatMap((group) => group.calls);
  return {
    operation: 'protect',
    plan: plan.id,
    graph: graphDigest(graph),
    resources: [...graph.order].flatMap((position) => shown(graph.resources[position])),
    snapshots: calls.map(({ array, consistency, members }) => ({
      array,
      consistency,
      volumes: members.map((member) => ({
        resource: { type: member.resource.type, id: member.resource.id },
        volume: member.volume,
        strategy: member.strategy,
        copies: member.copies.required,
        arrayCopy: fateOf(member),
      })),
    })),
    bytes: calls.flatMap(({ members }) => members).reduce((sum, { volume }) => sum + volume.size, 0),
    base: await newestCheckpoint(provider, plan, call.signal),
  };
}

/** Previews a restore. */
export async function previewRestore(
  services: OperationServices,
  tenant: TenantId,
  input: { readonly checkpoint: CheckpointId; readonly to: string; readonly map: RestoreMap },
  call: CallOptions,
): Promise<RestorePreview> {
  const destination = services.provider(input.to);
  const opened = await services.checkpoint(tenant, input.checkpoint, call);
  assertAvailable(opened);
  const graph = ResourceGraph.from(await getGraph(opened.bank, opened.commit, opened.commit.graph, call));
  const actions = planRestore(graph, input.map);
  const created = new Set(
    actions.flatMap(({ resource, standIn }) => (standIn ? [] : [describeKey(resource)])),
  );
  return {
    operation: 'restore',
    ...input,
    resources: actions.flatMap(({ resource, standIn }) =>
      shown(resource).map((key) => ({ ...key, standIn })),
    ),
    gaps: await findGaps(actions, destination, input.map, call),
    bytes: opened.artifacts
      .filter(({ resource }) => created.has(describeKey(resource)))
      .reduce((sum, { volume }) => sum + (volume?.volume.size ?? 0), 0),
  };
}

/** Previews verifying or removing a checkpoint. */
export async function previewCopies<Name extends 'verify' | 'remove'>(
  services: OperationServices,
  tenant: TenantId,
  operation: Name,
  checkpoint: CheckpointId,
  call: CallOptions,
): Promise<CopiesPreview<Name>> {
  const opened = await services.checkpoint(tenant, checkpoint, call);
  const copies = opened.artifacts.flatMap(({ volume }) => volume?.copies ?? []);
  return { operation, checkpoint, copies, bytes: copies.reduce((sum, { volume }) => sum + volume.size, 0) };
}

const shown = (resource: PreviewedResource | undefined): readonly PreviewedResource[] =>
  resource === undefined ? [] : [{ type: resource.type, id: resource.id, name: resource.name }];
