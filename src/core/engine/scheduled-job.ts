import { listCheckpoints } from '../archive/catalog.ts';
import type {
  CheckpointId,
  JobId,
  JsonObject,
  NewJob,
  PlanRecord,
  ScheduleRecord,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { OperationServices } from '../operations/services.ts';
import { policyFor } from '../policy/cascade.ts';
import { retentionOf } from '../policy/retention-schema.ts';
import { parseScheduledOperation } from './schedule-options.ts';
import { callOf } from './session-services.ts';

/**
 * The job of a tick, by what plan, provider and bank are like now. Rejects where the plan is gone, the policy is refused
 * or there is nothing to verify.
 */
export async function scheduledJob(
  services: OperationServices,
  { tenant, actor, plan: planId, operation }: ScheduleRecord,
  { id, now }: { readonly id: JobId; readonly now: number },
): Promise<NewJob> {
  const plan = await services.plan(tenant, planId);
  const asked = await inputOf(services, plan, operation);
  const input = { ...asked, whenBusy: 'queue' };
  return { id, tenant, actor, operation: operation.name, operationVersion: 1, input, createdAt: now };
}

async function inputOf(
  services: OperationServices,
  plan: PlanRecord,
  operation: ScheduleRecord['operation'],
): Promise<JsonObject> {
  const provider = services.provider(plan.provider, plan.tenant);
  const asked = parseScheduledOperation(operation);
  switch (asked.name) {
    case 'protect': {
      const { policy: call = {}, pauseMilliseconds = 10_000 } = asked.options;
      const policy = policyFor(provider, plan.tenant, { plan: plan.policy, call });
      return { plan, graph: null, policy, pauseMilliseconds };
    }
    case 'verify': {
      const { level = 'deep', sample = 1 } = asked.options;
      return { checkpoint: await newestCheckpoint(services, plan), level, sample };
    }
    case 'retain': {
      const policy = retentionOf('schedule', plan, asked.options.policy);
      return { plan: plan.id, policy, atMost: null };
    }
    case 'collect':
      return { bank: provider.bank.name, preview: false };
  }
}

async function newestCheckpoint(services: OperationServices, plan: PlanRecord): Promise<CheckpointId> {
  const { bank } = services.provider(plan.provider, plan.tenant);
  let newest: CheckpointId | undefined;
  const vault = services.vault(bank.name, plan.tenant);
  for await (const { id, state } of listCheckpoints(vault, { plan: plan.id }, callOf(undefined))) {
    if (state === 'available' || state === 'partial') newest = id;
  }
  if (newest !== undefined) return newest;
  throw new FafnirError('NOT_FOUND', `plan ${plan.name} has no checkpoint to verify`, {
    hint: 'Protect the plan before it is verified.',
  });
}
