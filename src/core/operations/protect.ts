import { type CheckpointContents, getArtifacts, type ProtectedVolume } from '../archive/artifacts.ts';
import { putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import { graphDigest, putGraph } from '../archive/stored-graph.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  CheckpointId,
  JobRecord,
  JsonObject,
  PlanRecord,
  Provider,
  Resource,
  ResourceLease,
  SnapshotCopy,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import type { WalkPhase } from '../graph/walk-phase.ts';
import { parseCheckpointId, splitParts } from '../identity.ts';
import { Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext } from '../jobs/operation.ts';
import { bankLease, checkpointLease, volumeLease } from '../policy/exclusion.ts';
import { ArrayCopies } from './array-copies.ts';
import { removeCopy } from './copies.ts';
import { copyMaker } from './compared-copies.ts';
import { discoverPlan } from './discover-plan.ts';
import { distrustedBy } from './distrust.ts';
import { openGraph } from './open-graph.ts';
import { releasePause, unendedPauses } from './pauses.ts';
import {
  commitCheckpoint,
  contentsOf,
  type Discovered,
  openMade,
  type ProtectInput,
} from './protect-commit.ts';
import { type ChangeBases, changeBases, fateOf, newestCheckpoint } from './protect-copies.ts';
import { planSnapshots, type Remember, type SnapshotPlan, type VolumeDecision } from './protect-plan.ts';
import { type OpenedCheckpoint, type OperationServices, protectableFor } from './services.ts';
import { Snapshots } from './snapshot-phases.ts';
import { effectName } from './tokens.ts';
import { walkGraph } from './walk-graph.ts';

const CAPTURES_AT_ONCE = 8;
const COPIES_AT_ONCE = 2;

/** Makes a checkpoint of a plan: discover, walk the graph through its phases, commit; then clear up. */
export class Protect implements Operation {
  readonly name = 'protect';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { job, signal } = context;
    const call = { signal };
    const { plan } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, job.tenant);
    const vault = this.#services.vault(provider.bank.name, job.tenant);
    const id = parseCheckpointId(job.id);

    if (context.result('discover') === undefined) await this.#holdVolumes(context, plan, provider);
    const discovered = await discoverOnce(context, provider, vault);
    const graph = await context.retry(() =>
      vault.shown(() => openGraph(vault, id, discovered.graph, call), call),
    );
    const remember: Remember = (name, ask) => context.step(name, ask);
    const planned = await planSnapshots(graph, provider, { remember, onFailure: plan.onFailure }, call);
    await context.hold(leasesFor(provider, planned, discovered.base));

    const contents = await this.#walk(context, provider, graph, planned, discovered.base);
    const made = await commitCheckpoint(context, provider, vault, discovered, contents);
    context.emit({
      type: 'checkpoint.committed',
      checkpoint: id,
      plan: plan.id,
      tenant: job.tenant,
      state: made.state,
    });
    return { ...made, ...distrustedBy(context) };
  }

  async #walk(
    context: OperationContext,
    provider: Provider,
    graph: ResourceGraph,
    { groups, failures }: SnapshotPlan,
    base: CheckpointId | null,
  ): Promise<CheckpointContents> {
    const { plan, pauseMilliseconds } = context.job.input as ProtectInput;
    const volumes = groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members));
    context.progress.expect({
      items: graph.resources.length,
      bytes: volumes.reduce((sum, { volume }) => sum + volume.size, 0),
    });
    const decisions = new Map(volumes.map((decision) => [decision.position, decision]));
    const bases = await this.#changeBases(context, base);
    const vault = this.#services.vault(provider.bank.name, context.job.tenant);
    const copy = await copyMaker(context, { provider, vault, volumes, bases, newest: base });
    const urgent = this.#services.provider(plan.provider, context.job.tenant, { urgent: true });
    const { snapshots: limiter } = this.#services;
    const snapshots = new Snapshots(context, {
      graph,
      groups,
      provider: urgent,
      snapshots: limiter,
      pauseMilliseconds,
    });
    const descriptions: JsonObject[] = [];
    const copies = new Map<number, readonly SnapshotCopy[]>();
    const result = await walkGraph(
      context,
      graph,
      [
        ...failing(failures),
        ...snapshots.phases(),
        {
          name: 'capture',
          order: 'free',
          concurrency: CAPTURES_AT_ONCE,
          run: async (position) => {
            const resource = graph.resources[position];
            if (resource !== undefined) descriptions[position] = await capture(context, provider, resource);
          },
        },
        {
          name: 'copy',
          order: 'free',
          concurrency: COPIES_AT_ONCE,
          takesPart: (position) => decisions.has(position),
          run: async (position) => {
            const decision = decisions.get(position);
            const taken = decision && snapshots.taken(decision);
            if (decision === undefined || taken === undefined) return;
            copies.set(position, await copy(decision, taken.copy));
          },
        },
        {
          name: 'complete',
          order: 'dependencies-first',
          run: () => context.progress.item(),
        },
      ],
      plan.onFailure,
    );
    const [first] = result.failures;
    if (first !== undefined && volumes.length + failures.size > 0 && copies.size === 0) throw first.error;
    return contentsOf(graph, result, (position) => ({
      description: descriptions[position] ?? {},
      volume: protectedVolume(snapshots, decisions.get(position), copies.get(position)),
    }));
  }

  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const leftovers = new Leftovers(context.signal);
    const { plan } = context.job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, context.job.tenant);
    for (const step of unendedPauses(context)) {
      await leftovers.attempt(`end the pause of ${step}`, () => releasePause(context, provider, step));
    }
    const vault = this.#services.vault(provider.bank.name, context.job.tenant);
    const made = await context.retry((call) => openMade(vault, context.job, call));
    await this.#removeArrayCopies(context, leftovers, made, 'removed');
    if (made.commit.missing > 0) await this.#removeUncommitted(context, leftovers, made);
    if (made.commit.base !== null) {
      const { base } = made.commit;
      await leftovers.attempt(`remove the change bases of checkpoint ${base}`, async () => {
        await this.#removeArrayCopies(
          context,
          leftovers,
          await this.#checkpoint(context, base),
          'change-base',
        );
      });
    }
    return leftovers.addTo(result);
  }

  async undo(context: OperationContext): Promise<void> {
    const { job } = context;
    const { plan } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, job.tenant);
    const intents = context.intents();
    for (const step of unendedPauses(context)) await releasePause(context, provider, step);
    if (intents.includes('commit')) {
      // The commit may have been written in the moment the job was cancelled, or be on its way still.
      await context.effect('undo/commit', async (call) => {
        const at = new Date(context.clock.now()).toISOString();
        const vault = this.#services.vault(provider.bank.name, job.tenant);
        await putAddendum(vault, parseCheckpointId(job.id), { kind: 'removed', job: job.id, at }, call);
        return null;
      });
    }
    for (const intent of intents.filter(isSnapshot)) {
      await context.effect(`undo/${intent}`, async (call) => {
        await this.#removeOthers(job, intent, [], call);
        return null;
      });
    }
  }

  async removeLate(
    ended: JobRecord,
    intents: readonly string[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    const removed: string[] = [];
    const { plan } = ended.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, ended.tenant);
    const vault = this.#services.vault(provider.bank.name, ended.tenant);
    const kept = ended.state === 'succeeded' ? snapshotsIn(await openMade(vault, ended, call)) : [];
    for (const intent of intents.filter(isSnapshot)) {
      removed.push(...(await this.#removeOthers(ended, intent, kept, call)));
    }
    return removed;
  }

  // What the step's call left on its array, but for the snapshots that are kept.
  async #removeOthers(
    job: JobRecord,
    intent: string,
    kept: readonly SnapshotCopy[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    const { plan } = job.input as ProtectInput;
    const arrays = new ArrayCopies(this.#services.provider(plan.provider, job.tenant));
    const [name, array] = [effectName(job, intent), arrayOf(intent)];
    const mine = kept.filter(({ reference }) => reference.name === name);
    const volumes = await arrays.removeAll(array, name, new Set(mine.map(({ volume }) => volume.id)), call);
    return volumes.map((id) => `snapshot ${name} of volume ${id} on array ${array}`);
  }

  // Snapshots of resources that failed afterwards: no checkpoint counts on them.
  async #removeUncommitted(
    context: OperationContext,
    leftovers: Leftovers,
    made: OpenedCheckpoint,
  ): Promise<void> {
    for (const intent of context.intents().filter(isSnapshot)) {
      await leftovers.attempt(`remove what ${intent} left on array ${arrayOf(intent)}`, async () => {
        await context.effect(`clear/${intent}`, async (call) => {
          await this.#removeOthers(context.job, intent, snapshotsIn(made), call);
          return null;
        });
      });
    }
  }

  // Before anything is journaled, so that a job that has to queue discovers the application anew when its turn comes.
  async #holdVolumes(context: OperationContext, plan: PlanRecord, provider: Provider): Promise<void> {
    const call = { signal: context.signal };
    const remember: Remember = (_name, ask) => ask();
    const planned = await context.retry(async () => {
      const graph = await discoverPlan(plan, provider, call);
      return planSnapshots(graph, provider, { remember, onFailure: plan.onFailure }, call);
    });
    await context.hold(leasesFor(provider, planned, null));
  }

  #checkpoint(context: OperationContext, id: CheckpointId): Promise<OpenedCheckpoint> {
    return context.retry(() => this.#services.checkpoint(context.job.tenant, id, { signal: context.signal }));
  }

  // A base that was damaged or removed meanwhile only costs the time it would have saved.
  async #changeBases(context: OperationContext, base: CheckpointId | null): Promise<ChangeBases> {
    try {
      return base === null ? new Map() : changeBases(await this.#checkpoint(context, base));
    } catch (error) {
      if (isDamage(error)) return new Map();
      throw error;
    }
  }

  async #removeArrayCopies(
    context: OperationContext,
    leftovers: Leftovers,
    of: OpenedCheckpoint,
    fate: ProtectedVolume['arrayCopy'],
  ): Promise<void> {
    const call = { signal: context.signal };
    // As committed: a copy that a dead worker gave up, and did not live to remove, is still this job's to remove.
    const committed = await context.retry(() =>
      getArtifacts(of.vault, of.commit.id, of.commit.artifacts, call),
    );
    for (const { volume } of committed.artifacts) {
      const copy = volume?.copies.find(({ kind }) => kind === 'array');
      if (volume?.arrayCopy !== fate || copy === undefined) continue;
      await leftovers.attempt(
        `remove the snapshot of volume ${copy.volume.id} on array ${copy.location}`,
        () => removeCopy(context, this.#services, of, copy),
      );
    }
  }
}

const isSnapshot = (intent: string): boolean => intent.startsWith('snapshot/');
const arrayOf = (intent: string): string => splitParts(intent)[1] ?? '';

function leasesFor(
  provider: Provider,
  { groups }: SnapshotPlan,
  base: CheckpointId | null,
): readonly ResourceLease[] {
  const volumes = groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members));
  return [
    ...volumes.map(({ volume }) => volumeLease(provider.name, volume, 'protect')),
    ...(base === null ? [] : [checkpointLease(base, 'read')]),
    bankLease(provider.bank.name, 'write'),
  ];
}

async function discoverOnce(
  context: OperationContext,
  provider: Provider,
  vault: Vault,
): Promise<Discovered> {
  const { plan, graph: expected } = context.job.input as ProtectInput;
  return context.step('discover', async (call) => {
    const found = await discoverWhole(context, plan, provider, call);
    if (expected !== null && expected !== graphDigest(found)) {
      throw new FafnirError('DRIFTED', `the application of plan ${plan.name} is no longer as previewed`);
    }
    return {
      graph: await putGraph(vault, parseCheckpointId(context.job.id), found, call),
      excluded: found.excluded.length,
      incomplete: found.incomplete.length,
      base: await newestCheckpoint(vault, plan, call),
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

// What cannot be planned for has failed before anything that depends on it begins.
const failing = (failures: SnapshotPlan['failures']): readonly WalkPhase[] =>
  failures.size === 0
    ? []
    : [
        {
          name: 'plan',
          order: 'dependencies-first',
          takesPart: (position) => failures.has(position),
          run: async (position) => {
            throw failures.get(position);
          },
        },
      ];

function capture(context: OperationContext, provider: Provider, resource: Resource): Promise<JsonObject> {
  const key = { type: resource.type, id: resource.id };
  return context.step(`capture/${describeKey(key)}`, (call) =>
    protectableFor(provider, key).capture(key, call),
  );
}

function protectedVolume(
  snapshots: Snapshots,
  decision: VolumeDecision | undefined,
  copies: readonly SnapshotCopy[] | undefined,
): ProtectedVolume | null {
  const taken = decision && snapshots.taken(decision);
  if (decision === undefined || taken === undefined || copies === undefined) return null;
  return {
    volume: taken.copy.volume,
    strategy: decision.strategy,
    consistency: taken.consistency,
    pauseMilliseconds: snapshots.pauseOf(taken),
    arrayCopy: fateOf(decision),
    copies,
  };
}

const snapshotsIn = ({ state, artifacts }: OpenedCheckpoint): readonly SnapshotCopy[] =>
  state === 'removed'
    ? []
    : artifacts.flatMap(({ volume }) => volume?.copies.filter(({ kind }) => kind === 'array') ?? []);
