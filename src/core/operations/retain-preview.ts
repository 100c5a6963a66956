import type {
  CallOptions,
  CheckpointId,
  CopyKind,
  PlanId,
  RetentionPolicy,
  TenantId,
} from '../contracts/index.ts';
import { planRetention, type RetentionDecision } from '../policy/retention.ts';
import { retainedCheckpoints } from './retained-checkpoints.ts';
import type { OperationServices } from './services.ts';

/** What retaining the checkpoints of a plan would do. */
export type RetainPreview = {
  /** Tells previews apart. */
  readonly operation: 'retain';
  /** The plan. */
  readonly plan: PlanId;
  /** How long they stay. */
  readonly policy: RetentionPolicy;
  /** What becomes of each, newest first. A run of this preview removes what is still to go, and nothing else. */
  readonly decisions: readonly RetentionDecision[];
};

/** What goes of a checkpoint. */
export type Removal = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Kinds of copies; all that it has where the checkpoint goes. */
  readonly copies: readonly CopyKind[];
  /** Whether nothing of it stays. */
  readonly isWhole: boolean;
};

/** Previews retaining the checkpoints of a plan. */
export async function previewRetain(
  services: OperationServices,
  { tenant, plan: id, policy }: Pick<RetainPreview, 'plan' | 'policy'> & { readonly tenant: TenantId },
  now: number,
  call: CallOptions,
): Promise<RetainPreview> {
  const plan = await services.plan(tenant, id);
  const { bank } = services.provider(plan.provider, tenant);
  const by = { proof: policy.proof, now };
  const checkpoints = await retainedCheckpoints(services.vault(bank.name, tenant), plan, by, call);
  return { operation: 'retain', plan: id, policy, decisions: planRetention(checkpoints, policy, now) };
}

/** What goes by some decisions. */
export const removalsOf = (decisions: readonly RetentionDecision[]): readonly Removal[] =>
  decisions.flatMap(({ checkpoint, action, removed }) =>
    action === 'keep' ? [] : [{ checkpoint, copies: removed, isWhole: action === 'remove' }],
  );
