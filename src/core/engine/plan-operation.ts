import { listCheckpoints } from '../archive/catalog.ts';
import type { CheckpointId, JsonObject, PlanRecord } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { OperationServices } from '../operations/services.ts';
import { policyFor } from '../policy/cascade.ts';
import { retentionOf } from '../policy/retention-schema.ts';
import type { CheckedCall } from './schedule-options.ts';
import { callOf } from './session-services.ts';

/** The input of the job that does this with a plan, by what plan, provider and bank are like now. */
export async function inputOf(
  services: OperationServices,
  plan: PlanRecord,
  asked: CheckedCall,
): Promise<JsonObject> {
  const provider = services.provider(plan.provider, plan.tenant);
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
      const policy = retentionOf('retain', plan, asked.options.policy);
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
