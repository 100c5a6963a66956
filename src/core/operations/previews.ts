import type { Consistency, ProtectedVolume, StrategyChoice } from '../archive/artifacts.ts';
import type {
  CallOptions,
  ChangedDefault,
  CheckpointId,
  CopyKind,
  ErrorRecord,
  PlanId,
  ResolvedPolicy,
  ResourceKey,
  SnapshotCopy,
  SnapshotPolicy,
  SnapshotPolicyWish,
  TenantId,
  VolumeRef,
} from '../contracts/index.ts';
import { briefRecord } from '../errors.ts';
import { policyFor, valuesOf } from '../policy/cascade.ts';
import type { AdoptPreview } from './adopt-preview.ts';
import { type ApplicationChanges, previewChanges } from './application-changes.ts';
import { isLeft } from './copies.ts';
import { discoverPlan } from './discover-plan.ts';
import { type PreviewedGraph, previewedGraph } from './previewed-graph.ts';
import { archiveBase, changesSince, historyOf } from './change-bases.ts';
import { fateOf } from './protect-copies.ts';
import { planSnapshots, type Remember } from './protect-plan.ts';
import type { RestorePreview } from './restore-preview.ts';
import { assertNotLocked } from './locks.ts';
import { assertNotHeld } from './remove.ts';
import type { RetainPreview } from './retain-preview.ts';
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
  /** The copies that a job of their own makes afterwards. */
  readonly background: readonly CopyKind[];
  /** What is to become of the array copy, once the archive is proven. */
  readonly arrayCopy: ProtectedVolume['arrayCopy'];
  /** Of how many of the newest archived checkpoints the array copies stay. */
  readonly keep: SnapshotPolicy['keep'];
};

/** A resource in a preview for which nothing can be done. */
export type FailedResource = {
  /** The resource. */
  readonly resource: ResourceKey;
  /** Why. */
  readonly error: ErrorRecord;
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

/** What protecting a plan would do. */
export type ProtectPreview = {
  /** Tells previews apart. */
  readonly operation: 'protect';
  /** The plan. */
  readonly plan: PlanId;
  /** What becomes of the snapshots, and who chose it: a run of this preview refuses another with `DRIFTED`. */
  readonly policy: ResolvedPolicy;
  /** What the provider or the tenant has changed since the plan's newest checkpoint, where nobody chose for the plan. */
  readonly changedDefaults: readonly ChangedDefault[];
  /** The application: a run of this preview refuses another with `DRIFTED`, unless told to accept it. */
  readonly graph: PreviewedGraph;
  /** What joined and what left it since an earlier checkpoint of the plan. */
  readonly changes: ApplicationChanges;
  /** What would be protected, dependencies first. */
  readonly resources: readonly PreviewedResource[];
  /** The calls to arrays. */
  readonly snapshots: readonly PreviewedSnapshot[];
  /** Volumes that nothing can be done for, where the plan continues without them. */
  readonly failures: readonly FailedResource[];
  /** Bytes of the volumes. */
  readonly bytes: number;
  /** The earlier checkpoint that archives would be compared with. */
  readonly base: CheckpointId | null;
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
  /** Of a removal: snapshots that were adopted and stay on their arrays; where there are any. */
  readonly left?: readonly SnapshotCopy[];
};

/** What an operation would do: plain data that can be shown, stored and sent. */
export type Preview =
  | ProtectPreview
  | AdoptPreview
  | RestorePreview
  | RetainPreview
  | CopiesPreview<'verify'>
  | CopiesPreview<'remove'>;

/** Previews protecting a plan. */
export async function previewProtect(
  services: OperationServices,
  tenant: TenantId,
  asked: { readonly plan: PlanId; readonly policy: SnapshotPolicyWish },
  call: CallOptions,
): Promise<ProtectPreview> {
  const plan = await services.plan(tenant, asked.plan);
  const provider = services.provider(plan.provider, tenant);
  const policy = policyFor(provider, tenant, { plan: plan.policy, call: asked.policy });
  const graph = await discoverPlan(plan, provider, call);
  const remember: Remember = (_name, ask) => ask();
  const { groups, failures } = await planSnapshots(
    graph,
    provider,
    { remember, onFailure: plan.onFailure, policy: valuesOf(policy) },
    call,
  );
  const calls = groups.flatMap((group) => group.calls);
  const vault = services.vault(provider.bank.name, tenant);
  const history = await historyOf({ vault, plan }, call);
  return {
    operation: 'protect',
    plan: plan.id,
    policy,
    changedDefaults: changesSince(history, policy),
    graph: previewedGraph(graph),
    changes: await previewChanges(vault, graph, history.applications, call),
    resources: [...graph.order].flatMap((position) => shown(graph.resources[position])),
    snapshots: calls.map(({ array, consistency, members }) => ({
      array,
      consistency,
      volumes: members.map((member) => ({
        resource: { type: member.resource.type, id: member.resource.id },
        volume: member.volume,
        strategy: member.strategy,
        copies: member.copies.required,
        background: member.copies.background,
        arrayCopy: fateOf(member).arrayCopy,
        keep: member.copies.keep,
      })),
    })),
    failures: Array.from(failures, ([position, error]) => ({
      resource: keyOf(graph.resources[position]),
      error: briefRecord(error),
    })),
    bytes: calls.flatMap(({ members }) => members).reduce((sum, { volume }) => sum + volume.size, 0),
    base: await archiveBase(vault, history.newestFirst, call),
  };
}

/** Previews verifying or removing a checkpoint. `HELD` or `LOCKED` where it could not be removed. */
export async function previewCopies<Name extends 'verify' | 'remove'>(
  services: OperationServices,
  tenant: TenantId,
  operation: Name,
  checkpoint: CheckpointId,
  call: CallOptions,
): Promise<CopiesPreview<Name>> {
  const opened = await services.checkpoint(tenant, checkpoint, call);
  if (operation === 'remove') {
    assertNotHeld(opened.holds, checkpoint);
    assertNotLocked(opened.commit, services.clock.now());
  }
  const good = opened.artifacts.flatMap(({ volume }) => volume?.copies ?? []);
  // A verify looks at lost copies again, and a removal removes what is left of them.
  const all = [...good, ...opened.lost.map(({ copy }) => copy)];
  const left = operation === 'remove' ? all.filter((copy) => isLeft(opened, copy)) : [];
  const copies = all.filter((copy) => !left.includes(copy));
  const bytes = copies.reduce((sum, { volume }) => sum + volume.size, 0);
  return { operation, checkpoint, copies, bytes, ...(left.length > 0 && { left }) };
}

/** The key alone of a resource. */
export const keyOf = ({ type, id }: ResourceKey = { type: '', id: '' }): ResourceKey => ({ type, id });

/** A resource as previews show it. */
export const shown = (resource: PreviewedResource | undefined): readonly PreviewedResource[] =>
  resource === undefined ? [] : [{ type: resource.type, id: resource.id, name: resource.name }];
