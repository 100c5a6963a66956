import type { JobId, NewJob, ScheduleRecord } from '../contracts/index.ts';
import type { OperationServices } from '../operations/services.ts';
import { inputOf } from './plan-operation.ts';
import type { TemplateCatalog } from './template-catalog.ts';

/**
 * The job of a tick, by what template, plan, provider and bank are like now. Rejects where the plan or the template is
 * gone, the policy or an argument is refused, or there is nothing to verify.
 */
export async function scheduledJob(
  { operations, templates }: { readonly operations: OperationServices; readonly templates: TemplateCatalog },
  { tenant, actor, plan: planId, operation: asked }: ScheduleRecord,
  { id, now }: { readonly id: JobId; readonly now: number },
): Promise<NewJob> {
  const plan = await operations.plan(tenant, planId);
  const { call, template } = await templates.resolve(tenant, asked);
  const input = { ...(await inputOf(operations, plan, call)), whenBusy: 'queue' };
  const { name: operation } = call;
  const made = { id, tenant, actor, operation, operationVersion: 1, input, createdAt: now };
  return { ...made, ...(template && { template }) };
}
