import type { CheckpointContents } from '../archive/artifacts.ts';
import { putAddendum } from '../archive/checkpoint.ts';
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
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import type { WalkPhase } from '../graph/walk-phase.ts';
import { parseCheckpointId, splitParts } from '../identity.ts';
import { Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext } from '../jobs/operation.ts';
import { valuesOf } from '../policy/cascade.ts';
import { bankLease, checkpointLease, volumeLease } from '../policy/exclusion.ts';
import { type AdoptionSearch, findAdopted, planAdoption } from './adopt-plan.ts';
import type { ArchiveInput } from './archive.ts';
import { ArrayCopies } from './array-copies.ts';
import { releaseArrayCopies } from './array-retention.ts';
import { basesOf, type ChangeBases } from './change-bases.ts';
import { withComparisons } from './compared-copies.ts';
import { discoverPlan } from './discover-plan.ts';
import { distrust, distrustedBy } from './distrust.ts';
import { openGraph } from './open-graph.ts';
import { releasePause, unendedPauses } from './pauses.ts';
import {
  commitCheckpoint,
  contentsOf,
  openMade,
  type ProtectInput,
  type ProtectResult,
} from './protect-commit.ts';
import { isExternal, removeExternal } from './external-copies.ts';
import { decideLock, tellingLock } from './locks.ts';
import { copiesAtOnce, makeCopies, protectedVolume } from './protect-copies.ts';
import { discoverOnce } from './protect-discovery.ts';
import {
  bytesOf,
  planSnapshots,
  type Remember,
  reservationFor,
  type SnapshotPlan,
  type VolumeDecision,
} from './protect-plan.ts';
import { clearDeadReadings, clearReadings, intendReading, removeReadings } from './readings.ts';
import { type OpenedCheckpoint, type OperationServices, protectableFor } from './services.ts';
import { isSnapshot, Snapshots, type SuppliedPlan } from './snapshot-phases.ts';
import { effectName } from './tokens.ts';
import { walkGraph } from './walk-graph.ts';

const CAPTURES_AT_ONCE = 8;

/** Makes a checkpoint of a plan: discover, walk the graph through its phases, commit; then clear up. */
export class Protect implements Operation {
  readonly name: 'protect' | 'adopt';
  readonly version = 1;
  readonly #services: OperationServices;

  /** The job's input says whether snapshots are taken or adopted; `name` is what such jobs are called. */
  constructor(services: OperationServices, name: 'protect' | 'adopt') {
    this.name = name;
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { job, signal } = context;
    const call = { signal };
    const { plan } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, job.tenant);
    const vault = this.#services.vault(provider.bank.name, job.tenant);
    const id = parseCheckpointId(job.id);
    context.usage.concerns({ provider: plan.provider, plan: plan.id });

    if (context.result('discover') === undefined) await this.#begin(context, plan, provider);
    const locked = vault.lockedUntil(await decideLock(context));
    const discovered = await discoverOnce(context, provider, locked);
    const graph = await context.retry(() =>
      vault.shown(() => openGraph(vault, id, discovered.graph, call), call),
    );
    const remember: Remember = (name, ask) => context.step(name, ask);
    const decided = await withComparisons(
      context,
      { vault, plan },
      await planOf(context, graph, provider, remember),
    );
    await context.hold(leasesFor(provider, decided, discovered.base));

    await context.retry((call) => this.#services.recordInstallation(vault, call));
    const supplied = await this.#supply(context, provider, graph, decided, remember);
    const made = await tellingLock(context, provider, async () => {
      const contents = await this.#walk(context, provider, graph, supplied, discovered.base);
      const place = { provider, vault: locked };
      return await commitCheckpoint(context, this.#services, place, discovered, contents);
    });
    context.usage.concerns({ checkpoint: id });
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
    { planned: { groups, failures }, supply }: SuppliedPlan,
    base: CheckpointId | null,
  ): Promise<CheckpointContents> {
    const { plan } = context.job.input as ProtectInput;
    const volumes = groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members));
    const bytes = bytesOf(volumes);
    context.progress.expect({ items: graph.resources.length, bytes });
    context.usage.concerns({ logical: bytes });
    const decisions = new Map(volumes.map((decision) => [decision.position, decision]));
    const bases = await basesOf(context, this.#services, base);
    const descriptions: JsonObject[] = [];
    const copies = new Map<number, readonly SnapshotCopy[]>();
    const result = await walkGraph(
      context,
      graph,
      [
        ...failing(failures),
        ...supply.phases(),
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
          concurrency: copiesAtOnce(volumes),
          takesPart: (position) => decisions.has(position),
          run: async (position) => {
            const decision = decisions.get(position);
            const taken = decision && supply.taken(decision);
            if (decision === undefined || taken === undefined) return;
            copies.set(position, await this.#copy(context, provider, decision, taken.copy, bases));
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
      volume: protectedVolume(supply, decisions.get(position), copies.get(position)),
    }));
  }

  // What was adopted is there before anything is captured; what is taken is taken on the way.
  async #supply(
    context: OperationContext,
    provider: Provider,
    graph: ResourceGraph,
    planned: SnapshotPlan,
    remember: Remember,
  ): Promise<SuppliedPlan> {
    const { id, tenant, input } = context.job;
    const { plan, policy: resolved, pauseMilliseconds, adopted: adoption } = input as ProtectInput;
    const policy = valuesOf(resolved);
    if (adoption !== undefined) {
      const how = { remember, onFailure: plan.onFailure, policy };
      const retry: AdoptionSearch['retry'] = (read) => context.retry(read);
      const reader: AdoptionSearch['reader'] = (location, step) =>
        intendReading(context, this.#services, plan, { kind: 'array', location }, step);
      const checkpoint = parseCheckpointId(id);
      const request = { ...how, tenant, checkpoint, provider, adoption, retry, reader };
      return findAdopted(this.#services, request, planned, { signal: context.signal });
    }
    const { snapshots, installation } = this.#services;
    const urgent = this.#services.provider(plan.provider, tenant, { urgent: true });
    const of = { graph, groups: planned.groups, provider: urgent, installation, snapshots };
    return { planned, supply: new Snapshots(context, { ...of, policy, pauseMilliseconds }) };
  }

  async #copy(
    context: OperationContext,
    provider: Provider,
    decision: VolumeDecision,
    snapshot: SnapshotCopy,
    bases: ChangeBases,
  ): Promise<readonly SnapshotCopy[]> {
    const at = { provider, services: this.#services };
    const { copies, made } = await makeCopies(context, at, decision, snapshot, bases);
    if (made?.distrusted !== undefined) {
      const { plan } = context.job.input as ProtectInput;
      const vault = this.#services.vault(provider.bank.name, context.job.tenant);
      const found = { resource: describeKey(decision.resource), archive: made.archive, how: made.distrusted };
      await distrust(context, { vault, plan }, found);
    }
    return copies;
  }

  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const leftovers = new Leftovers(context.signal);
    const { plan } = context.job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, context.job.tenant);
    const { bytes } = result as ProtectResult;
    const bank = provider.bank.name;
    context.usage.concerns({ checkpoints: { bank, checkpoints: 1, protected: bytes } });
    for (const step of unendedPauses(context)) {
      await leftovers.attempt(`end the pause of ${step}`, () => releasePause(context, provider, step));
    }
    const vault = this.#services.vault(provider.bank.name, context.job.tenant);
    const made = await context.retry((call) => openMade(vault, context.job, call));
    await clearDeadReadings(context, this.#services, leftovers);
    if (made.commit.missing > 0) await this.#removeUncommitted(context, leftovers, made);
    const volumes = made.artifacts.flatMap(({ volume }) => volume ?? []);
    if (volumes.some(({ arrayCopy }) => arrayCopy !== 'kept')) {
      await releaseArrayCopies(context, this.#services, leftovers, made);
    }
    if (volumes.some(({ background }) => background !== undefined)) {
      const input = {
        checkpoint: made.commit.id,
        removeSnapshots: false,
        whenBusy: 'queue',
      } satisfies ArchiveInput;
      const archive = await context.start('background', { operation: 'archive', input });
      return leftovers.addTo({ ...result, archive });
    }
    return leftovers.addTo(result);
  }

  async undo(context: OperationContext): Promise<void> {
    const { job } = context;
    const { plan } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, job.tenant);
    const intents = context.intents();
    const leftovers = new Leftovers(context.signal);
    for (const step of unendedPauses(context)) {
      await leftovers.attempt(`end the pause of ${step}`, () => releasePause(context, provider, step));
    }
    if (intents.includes('commit')) {
      // The commit may have been written in the moment the job was cancelled, or be on its way still.
      await leftovers.attempt('take the commit back', async () => {
        await context.effect('undo/commit', async (call) => {
          const at = new Date(context.clock.now()).toISOString();
          const vault = this.#services.vault(provider.bank.name, job.tenant);
          await putAddendum(vault, parseCheckpointId(job.id), { kind: 'removed', job: job.id, at }, call);
          return null;
        });
      });
    }
    await clearReadings(context, this.#services, leftovers);
    for (const intent of intents.filter(isCopying)) {
      await leftovers.attempt(`remove what ${intent} left`, async () => {
        await context.effect(`undo/${intent}`, async (call) => {
          await this.#removeOthers(job, intent, [], call);
          return null;
        });
      });
    }
    leftovers.assertNone();
  }

  async removeLate(
    ended: JobRecord,
    intents: readonly string[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    const removed = [...(await removeReadings(this.#services, ended, intents, call))];
    const taken = intents.filter(isCopying);
    if (taken.length === 0) return removed;
    const { plan } = ended.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, ended.tenant);
    const vault = this.#services.vault(provider.bank.name, ended.tenant);
    const kept = ended.state === 'succeeded' ? copiesIn(await openMade(vault, ended, call)) : [];
    for (const intent of taken) {
      removed.push(...(await this.#removeOthers(ended, intent, kept, call)));
    }
    return removed;
  }

  // What the step's call left on its array or with a service outside, but for the copies that are kept.
  async #removeOthers(
    job: JobRecord,
    intent: string,
    kept: readonly SnapshotCopy[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    const { plan } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider, job.tenant);
    if (isExternal(intent)) {
      return removeExternal({ provider, installation: this.#services.installation }, job, intent, kept, call);
    }
    const arrays = new ArrayCopies(provider);
    const [name, array] = [effectName(this.#services.installation, job, intent), arrayOf(intent)];
    const mine = kept.filter(({ kind, reference }) => kind === 'array' && reference.name === name);
    const volumes = await arrays.removeAll(array, name, new Set(mine.map(({ volume }) => volume.id)), call);
    return volumes.map((id) => `snapshot ${name} of volume ${id} on array ${array}`);
  }

  // Copies of resources that failed afterwards: no checkpoint counts on them.
  async #removeUncommitted(
    context: OperationContext,
    leftovers: Leftovers,
    made: OpenedCheckpoint,
  ): Promise<void> {
    for (const intent of context.intents().filter(isCopying)) {
      await leftovers.attempt(
        `remove what ${intent} left ${isExternal(intent) ? 'in' : 'on array'} ${arrayOf(intent)}`,
        async () => {
          await context.effect(`clear/${intent}`, async (call) => {
            await this.#removeOthers(context.job, intent, copiesIn(made), call);
            return null;
          });
        },
      );
    }
  }

  // Before anything is journaled, so that a job that has to queue discovers the application anew when its turn comes.
  async #begin(context: OperationContext, plan: PlanRecord, provider: Provider): Promise<void> {
    const call = { signal: context.signal };
    const remember: Remember = (_name, ask) => ask();
    const planned = await context.retry(async () =>
      planOf(context, await discoverPlan(plan, provider, call), provider, remember),
    );
    await context.hold(leasesFor(provider, planned, null));
    await context.reserve(reservationFor(planned));
  }
}

function planOf(
  context: OperationContext,
  graph: ResourceGraph,
  provider: Provider,
  remember: Remember,
): Promise<SnapshotPlan> {
  const { plan, policy, adopted } = context.job.input as ProtectInput;
  const how = { remember, onFailure: plan.onFailure, policy: valuesOf(policy) };
  const call = { signal: context.signal };
  if (adopted === undefined) return planSnapshots(graph, provider, how, call);
  return planAdoption(graph, provider, adopted, how, call);
}

/** Whether a step makes a copy where only this job can remove it. */
const isCopying = (step: string): boolean => isSnapshot(step) || isExternal(step);

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

const copiesIn = ({ state, artifacts }: OpenedCheckpoint): readonly SnapshotCopy[] =>
  state === 'removed' ? [] : artifacts.flatMap(({ volume }) => volume?.copies ?? []);
