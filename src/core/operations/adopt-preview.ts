import type { AdoptedSnapshots } from '../archive/checkpoint.ts';
import type { Consistency } from '../archive/artifacts.ts';
import type {
  CallOptions,
  PlanId,
  ResolvedPolicy,
  ResourceKey,
  SnapshotPolicyWish,
  TenantId,
} from '../contracts/index.ts';
import { briefRecord } from '../errors.ts';
import { policyFor, valuesOf } from '../policy/cascade.ts';
import { type AdoptableSnapshot, adoptableOf, type Adoption } from './adoption.ts';
import { type AdoptionSearch, findAdopted, planAdoption } from './adopt-plan.ts';
import { type ApplicationChanges, previewChanges } from './application-changes.ts';
import { historyOf } from './change-bases.ts';
import { discoverPlan } from './discover-plan.ts';
import { type PreviewedGraph, previewedGraph } from './previewed-graph.ts';
import { type FailedResource, keyOf, type PreviewedResource, shown } from './previews.ts';
import type { Remember } from './protect-plan.ts';
import type { OperationServices } from './services.ts';

/** A snapshot in the preview of an adoption. */
export type PreviewedAdoption = {
  /** The resource that holds the data. */
  readonly resource: ResourceKey;
  /** The snapshot that it would get. */
  readonly snapshot: AdoptableSnapshot;
  /** What its instant is worth. */
  readonly consistency: Consistency;
  /** From the first to the last instant of the volumes that belong together, in milliseconds, by their arrays' clocks. */
  readonly skewMilliseconds: number;
};

/** What adopting snapshots would do. Nothing is changed on the arrays. */
export type AdoptPreview = {
  /** Tells previews apart. */
  readonly operation: 'adopt';
  /** The plan. */
  readonly plan: PlanId;
  /** What the instants must be worth, and who chose it; the rest of the policy does not matter to what is adopted. */
  readonly policy: ResolvedPolicy;
  /**
   * The application as it is now, which is what the checkpoint would tell of it: what it was like at the instants of the
   * snapshots is not known. A run of this preview refuses another with `DRIFTED`, unless told to accept it.
   */
  readonly graph: PreviewedGraph;
  /** What joined and what left it since an earlier checkpoint of the plan. */
  readonly changes: ApplicationChanges;
  /** What would be captured, dependencies first. */
  readonly resources: readonly PreviewedResource[];
  /** Whether the snapshots would stay when the checkpoint is removed. */
  readonly ownership: AdoptedSnapshots['ownership'];
  /** What would be adopted; a run of this preview refuses others of the same names with `DRIFTED`. */
  readonly snapshots: readonly PreviewedAdoption[];
  /** Volumes without a snapshot that can be adopted, where the plan continues without them. */
  readonly failures: readonly FailedResource[];
  /** Bytes of the volumes. */
  readonly bytes: number;
};

/** Previews adopting snapshots; rejects as the adoption would. */
export async function previewAdopt(
  services: OperationServices,
  tenant: TenantId,
  asked: { readonly plan: PlanId; readonly adoption: Adoption; readonly policy: SnapshotPolicyWish },
  call: CallOptions,
): Promise<AdoptPreview> {
  const { adoption } = asked;
  const plan = await services.plan(tenant, asked.plan);
  const provider = services.provider(plan.provider, tenant);
  const policy = policyFor(provider, tenant, { plan: plan.policy, call: asked.policy });
  const graph = await discoverPlan(plan, provider, call);
  const remember: Remember = (_name, ask) => ask();
  const how = { remember, onFailure: plan.onFailure, policy: valuesOf(policy) };
  const retry: AdoptionSearch['retry'] = (read) => read();
  const request = { ...how, tenant, checkpoint: null, provider, adoption, retry };
  const { planned, supply } = await findAdopted(
    services,
    request,
    await planAdoption(graph, provider, adoption, how, call),
    call,
  );
  const vault = services.vault(provider.bank.name, tenant);
  const members = planned.groups.flatMap(({ calls }) => calls.flatMap((one) => one.members));
  return {
    operation: 'adopt',
    plan: plan.id,
    policy,
    graph: previewedGraph(graph),
    changes: await previewChanges(vault, graph, (await historyOf({ vault, plan }, call)).applications, call),
    resources: [...graph.order].flatMap((position) => shown(graph.resources[position])),
    ownership: adoption.ownership,
    snapshots: members.flatMap((member) => {
      const taken = supply.taken(member);
      if (taken === undefined) return [];
      const { copy, consistency, skew: skewMilliseconds } = taken;
      return [
        { resource: keyOf(member.resource), snapshot: adoptableOf(copy), consistency, skewMilliseconds },
      ];
    }),
    failures: Array.from(planned.failures, ([position, error]) => ({
      resource: keyOf(graph.resources[position]),
      error: briefRecord(error),
    })),
    bytes: members.reduce((sum, { volume }) => sum + volume.size, 0),
  };
}
