import { graphDigest, putGraph } from '../archive/stored-graph.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, PlanRecord, Provider } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';
import { parseCheckpointId } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { recordChanges } from './application-changes.ts';
import { archiveBase, changesSince, historyOf } from './change-bases.ts';
import { discoverPlan } from './discover-plan.ts';
import type { Discovered, ProtectInput } from './protect-commit.ts';

/** What a protect job works on: found once, and kept in the bank, so that a worker that goes on finds the same. */
export async function discoverOnce(
  context: OperationContext,
  provider: Provider,
  vault: Vault,
): Promise<Discovered> {
  const { job } = context;
  const { plan, policy, graph: expected, adopted } = job.input as ProtectInput;
  return context.step('discover', async (call) => {
    const found = await discoverWhole(context, plan, provider, call);
    if (expected !== null && expected !== graphDigest(found)) {
      throw new FafnirError('DRIFTED', `the application of plan ${plan.name} is no longer as previewed`);
    }
    const id = parseCheckpointId(job.id);
    const { applications, ...made } = await historyOf({ vault, plan }, call);
    // What is adopted is older than what was made before: its bytes are compared with none of it, and it changes no default.
    const history = adopted === undefined ? made : { newestFirst: [] };
    const changedDefaults = changesSince(history, policy);
    if (changedDefaults.length > 0) {
      context.emit({ type: 'policy.changed', plan: plan.id, tenant: job.tenant, changes: changedDefaults });
    }
    return {
      graph: await putGraph(vault, id, found, call),
      changes: await recordChanges(vault, id, found, applications, call),
      excluded: found.excluded.length,
      incomplete: found.incomplete.length,
      base: await archiveBase(vault, history.newestFirst, call),
      createdAt: new Date(context.clock.now()).toISOString(),
    };
  });
}

// A dependency that cannot be read at the first attempt may be at the next: only then does the plan allow for it.
async function discoverWhole(
  context: OperationContext,
  plan: PlanRecord,
  provider: Provider,
  call: CallOptions,
): Promise<ResourceGraph> {
  if (plan.incomplete === 'allow') {
    try {
      return await context.retry((call) => discoverPlan({ ...plan, incomplete: 'refuse' }, provider, call));
    } catch {
      call.signal.throwIfAborted();
    }
  }
  return discoverPlan(plan, provider, call);
}
