import pMap from 'p-map';
import { type Artifact, getArtifacts, type ProtectedVolume, putArtifacts } from '../archive/artifacts.ts';
import { listCheckpoints, type OpenCheckpoint, proofReaches } from '../archive/catalog.ts';
import { type Commit, putAddendum, putCommit } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import { getGraph, graphDigest, putGraph } from '../archive/stored-graph.ts';
import type {
  CallOptions,
  CheckpointId,
  CopySource,
  JobRecord,
  JsonObject,
  PlanRecord,
  Provider,
  Resource,
  ResourceLease,
  SnapshotCopy,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { discover } from '../graph/discover.ts';
import { describeKey, ResourceGraph } from '../graph/resource-graph.ts';
import { parseCheckpointId, splitParts } from '../identity.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease, volumeLease } from '../policy/exclusion.ts';
import { ArrayCopies } from './array-copies.ts';
import type { ArchiveInput, ArchiveResult } from './archive.ts';
import { removeCopy } from './copies.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import { type ConsistencyGroup, planSnapshots, type VolumeDecision } from './protect-plan.ts';
import { type OpenedCheckpoint, type OperationServices, protectableFor } from './services.ts';
import { takeSnapshots, releasePauses } from './take-snapshots.ts';
import { effectName } from './tokens.ts';

const RESOURCES_AT_ONCE = 2;

/** What a protect job is asked to do. */
export type ProtectInput = {
  /** The plan as it was when the job was made. */
  readonly plan: PlanRecord;
  /** The digest of the graph that was previewed; the job refuses another with `DRIFTED`. */
  readonly graph: string | null;
  /** How long an application may be paused for its snapshot. */
  readonly pauseMilliseconds: number;
  /** What to do while another job works on one of the volumes. */
  readonly whenBusy: WhenBusy;
};

/** What a protect job has made. */
export type ProtectResult = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Resources in it. */
  readonly resources: number;
  /** Volumes in it. */
  readonly volumes: number;
  /** Bytes of those volumes. */
  readonly bytes: number;
  /** What could not be cleared up, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};

type Discovered = {
  readonly graph: Commit['graph'];
  readonly base: CheckpointId | null;
  readonly createdAt: string;
};

/** Makes a checkpoint of a plan: discover, snapshot, capture and copy, commit; then clear up. */
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
    const { plan, graph: expected, pauseMilliseconds } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider);
    const checkpoint = parseCheckpointId(job.id);
    const owner = { tenant: job.tenant, id: checkpoint };

    if (context.result('discover') === undefined) await this.#holdVolumes(context, plan, provider);
    const discovered = await context.step('discover', async (): Promise<Discovered> => {
      const found = await discover({ roots: plan.resources, protectables: provider.protectables }, call);
      if (expected !== null && expected !== graphDigest(found)) {
        throw new FafnirError('DRIFTED', `the application of plan ${plan.name} is no longer as previewed`);
      }
      return {
        graph: await putGraph(provider.bank, owner, found, call),
        base: await newestCheckpoint(provider, plan, signal),
        createdAt: new Date(context.clock.now()).toISOString(),
      };
    });
    const graph = ResourceGraph.from(
      await context.retry(() => getGraph(provider.bank, owner, discovered.graph, call)),
    );
    const groups = await planSnapshots(graph, provider, (name, ask) => context.step(name, ask), call);
    await context.hold(leasesFor(provider, groups, discovered.base));
    const volumes = groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members));
    const bytes = volumes.reduce((sum, { volume }) => sum + volume.size, 0);
    context.progress.expect({ items: graph.resources.length, bytes });

    const taken = await takeSnapshots(context, provider, groups, pauseMilliseconds);
    const bases = await this.#changeBases(context, discovered.base);
    const decisions = new Map(volumes.map((decision) => [describeKey(decision.resource), decision]));
    const artifacts = await pMap(
      graph.resources,
      async (resource): Promise<Artifact> => {
        const decision = decisions.get(describeKey(resource));
        const snapshot = decision && taken.get(decision);
        const artifact = {
          resource: { type: resource.type, id: resource.id },
          description: await capture(context, provider, resource),
          volume:
            decision && snapshot
              ? {
                  volume: snapshot.copy.volume,
                  strategy: decision.strategy,
                  consistency: snapshot.consistency,
                  pauseMilliseconds: snapshot.pauseMilliseconds,
                  arrayCopy: fateOf(decision),
                  copies: await makeCopies(
                    context,
                    provider,
                    decision,
                    snapshot.copy,
                    bases.get(describeKey(resource)),
                  ),
                }
              : null,
        };
        context.progress.item();
        return artifact;
      },
      { concurrency: RESOURCES_AT_ONCE, signal },
    );

    await context.effect('commit', async () => {
      const mine: Commit = {
        id: checkpoint,
        tenant: job.tenant,
        plan: { id: plan.id, name: plan.name, resources: plan.resources },
        provider: provider.name,
        site: provider.site,
        job: job.id,
        epoch: job.epoch,
        actor: job.actor,
        ...discovered,
        artifacts: await putArtifacts(provider.bank, owner, artifacts, call),
        volumes: volumes.length,
        bytes,
      };
      const committed = await putCommit(provider.bank, mine, call);
      if (committed.epoch !== job.epoch) {
        await getGraph(provider.bank, owner, committed.graph, call);
        await getArtifacts(provider.bank, owner, committed.artifacts, call);
      }
      return null;
    });
    context.emit({ type: 'checkpoint.available', checkpoint, plan: plan.id, tenant: job.tenant });
    return {
      checkpoint,
      resources: graph.resources.length,
      volumes: volumes.length,
      bytes,
    } satisfies ProtectResult;
  }

  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const leftovers = new Leftovers(context.signal);
    const made = await this.#checkpoint(context, parseCheckpointId(context.job.id));
    await this.#removeArrayCopies(context, leftovers, made, 'removed');
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
    const { job, signal } = context;
    const { plan } = job.input as ProtectInput;
    const provider = this.#services.provider(plan.provider);
    const intents = context.intents();
    await releasePauses(context, provider);
    if (intents.includes('commit')) {
      // The commit may have been written in the moment the job was cancelled, or be on its way still.
      await context.effect('undo/commit', async (call) => {
        const at = new Date(context.clock.now()).toISOString();
        const owner = { tenant: job.tenant, id: parseCheckpointId(job.id) };
        await putAddendum(provider.bank, owner, { kind: 'removed', job: job.id, at }, call);
        return null;
      });
    }
    const arrays = new ArrayCopies(provider);
    for (const intent of intents.filter(isSnapshot)) {
      await context.effect(`undo/${intent}`, async () => {
        await arrays.removeAll(arrayOf(intent), effectName(job, intent), new Set(), { signal });
        return null;
      });
    }
  }

  async removeLate(
    ended: JobRecord,
    intents: readonly string[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    const { plan } = ended.input as ProtectInput;
    const arrays = new ArrayCopies(this.#services.provider(plan.provider));
    const removed: string[] = [];
    const kept = ended.state === 'succeeded' ? await this.#keptSnapshots(ended, call) : [];
    for (const intent of intents.filter(isSnapshot)) {
      const [name, array] = [effectName(ended, intent), arrayOf(intent)];
      const mine = kept.filter(({ reference }) => reference.name === name);
      const volumes = await arrays.removeAll(array, name, new Set(mine.map(({ volume }) => volume.id)), call);
      removed.push(...volumes.map((id) => `snapshot ${name} of volume ${id} on array ${array}`));
    }
    return removed;
  }

  async #keptSnapshots({ tenant, id }: JobRecord, call: CallOptions): Promise<readonly SnapshotCopy[]> {
    const { state, artifacts } = await this.#services.checkpoint(tenant, parseCheckpointId(id), call);
    if (state === 'removed') return [];
    return artifacts.flatMap(({ volume }) => volume?.copies.filter(({ kind }) => kind === 'array') ?? []);
  }

  // Before anything is journaled, so that a job that has to queue discovers the application anew when its turn comes.
  async #holdVolumes(context: OperationContext, plan: PlanRecord, provider: Provider): Promise<void> {
    const call = { signal: context.signal };
    const groups = await context.retry(async () => {
      const graph = await discover({ roots: plan.resources, protectables: provider.protectables }, call);
      return planSnapshots(graph, provider, (_name, ask) => ask(), call);
    });
    await context.hold(leasesFor(provider, groups, null));
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
    const artifacts = await context.retry(() => getArtifacts(of.bank, of.commit, of.commit.artifacts, call));
    for (const { volume } of artifacts) {
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
  groups: readonly ConsistencyGroup[],
  base: CheckpointId | null,
): readonly ResourceLease[] {
  const volumes = groups.flatMap(({ calls }) => calls.flatMap(({ members }) => members));
  return [
    ...volumes.map(({ volume }) => volumeLease(provider.name, volume, 'protect')),
    ...(base === null ? [] : [checkpointLease(base, 'read')]),
  ];
}

/** The newest available checkpoint of the plan that the provider made. */
export async function newestCheckpoint(
  provider: Provider,
  plan: PlanRecord,
  signal: AbortSignal,
): Promise<CheckpointId | null> {
  let newest: CheckpointId | null = null;
  for await (const checkpoint of listCheckpoints(provider.bank, plan.tenant, { plan: plan.id }, { signal })) {
    if (checkpoint.state === 'available' && checkpoint.provider === provider.name) newest = checkpoint.id;
  }
  return newest;
}

function capture(context: OperationContext, provider: Provider, resource: Resource): Promise<JsonObject> {
  const key = { type: resource.type, id: resource.id };
  return context.step(`capture/${describeKey(key)}`, (call) =>
    protectableFor(provider, key).capture(key, call),
  );
}

async function makeCopies(
  context: OperationContext,
  provider: Provider,
  { resource, volume, copies }: VolumeDecision,
  snapshot: SnapshotCopy,
  base: CopySource['base'],
): Promise<readonly SnapshotCopy[]> {
  const share = context.progress.share(volume.size);
  const made = [snapshot];
  if (copies.required.includes('archive')) {
    const source = { volume, from: snapshot, ...(base === undefined ? {} : { base }) };
    const input = { provider: provider.name, source } satisfies ArchiveInput;
    const result = await context.child(describeKey(resource), { operation: 'archive', input }, ({ bytes }) =>
      share.reach(bytes.done),
    );
    const { archive } = result as ArchiveResult;
    if (!proofReaches(archive.proof, copies.proof)) {
      throw new FafnirError(
        'NOT_PROVEN',
        `the archive of ${describeKey(resource)} did not reach ${copies.proof}`,
      );
    }
    made.push(archive);
  }
  share.finish();
  return made;
}

type ChangeBases = ReadonlyMap<string, NonNullable<CopySource['base']>>;

function changeBases(base: OpenCheckpoint): ChangeBases {
  const bases = new Map<string, NonNullable<CopySource['base']>>();
  for (const { resource, volume } of base.artifacts) {
    const copy = volume?.copies.find(({ kind }) => kind === 'archive');
    const from = volume?.copies.find(({ kind }) => kind === 'array');
    if (copy !== undefined) bases.set(describeKey(resource), from === undefined ? { copy } : { copy, from });
  }
  return bases;
}

/** What is to become of the array copy of a volume. */
export function fateOf({ copies, changeBase }: VolumeDecision): ProtectedVolume['arrayCopy'] {
  if (!copies.removed.includes('array')) return 'kept';
  return changeBase === 'snapshot' ? 'change-base' : 'removed';
}
