import type { Artifact, ProtectedVolume } from '../archive/artifacts.ts';
import { type CopyKey, putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type {
  CallOptions,
  CheckpointId,
  JobRecord,
  JsonObject,
  Provider,
  ResourceKey,
  SnapshotCopy,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { splitParts } from '../identity.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease, volumeLease } from '../policy/exclusion.ts';
import { copyKeyOf, isUnreachable, storeOf } from './copies.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import { openGraph } from './open-graph.ts';
import {
  assertRestorable,
  findGaps,
  planRestore,
  type RestoreAction,
  type RestoreMap,
  type RestorePlan,
  type StandIn,
} from './restore-plan.ts';
import { type OperationServices, type OpenedCheckpoint, protectableFor } from './services.ts';
import { effectToken } from './tokens.ts';
import { walkGraph } from './walk-graph.ts';

const CALLS_AT_ONCE = 8;
const VOLUMES_AT_ONCE = 2;

/** What a restore job is asked to do. */
export type RestoreInput = {
  /** What to restore. */
  readonly checkpoint: CheckpointId;
  /** The provider to restore to. */
  readonly to: string;
  /** What to restore of it, with all that it depends on; null for everything. */
  readonly resources: readonly ResourceKey[] | null;
  /** How originals become what they are there. */
  readonly map: RestoreMap;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a restore job has made. */
export type RestoreResult = {
  /** The checkpoint it was made from. */
  readonly checkpoint: CheckpointId;
  /** Resources created. */
  readonly resources: number;
  /** Volumes whose bytes were restored, each read back and compared. */
  readonly volumes: number;
  /** Bytes of those volumes. */
  readonly bytes: number;
  /** What could not be cleared up, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};

/** Makes an application again from a checkpoint: create, fill, connect; or leaves nothing behind. */
export class Restore implements Operation {
  readonly name = 'restore';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  // The result of every `create/…` and `map/…` step is a StandIn: that is where the host learns the new ids.
  async run(context: OperationContext): Promise<JsonObject> {
    const call = { signal: context.signal };
    const { checkpoint, to, resources, map } = context.job.input as RestoreInput;
    await context.hold([checkpointLease(checkpoint, 'read')]);
    const destination = this.#services.provider(to, context.job.tenant);
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    const graph = await context.retry(() =>
      openGraph(opened.vault, opened.commit.id, opened.commit.graph, call),
    );
    const plan = planRestore(graph, map, resources);
    const { actions } = plan;
    await context.step('check', async () => {
      assertRestorable(opened, graph, plan);
      const gaps = await findGaps(plan, destination, map, call);
      if (gaps.length > 0) throw new FafnirError('MAPPING_GAP', gaps.join('; '));
      return null;
    });
    const artifacts = new Map(opened.artifacts.map((artifact) => [describeKey(artifact.resource), artifact]));
    const planned = new Map(actions.map((action) => [action.position, action]));
    const created = new Map<number, Artifact>();
    for (const { position, resource, standIn } of actions)
      if (standIn === null) created.set(position, artifactOf(artifacts, resource));
    const volumes = [...created.values()].flatMap(({ volume }) => volume ?? []);
    const bytes = volumes.reduce((sum, { volume }) => sum + volume.size, 0);
    context.progress.expect({ items: created.size, bytes });

    const standIns = new StandIns(graph, plan);
    await walkGraph(
      context,
      graph,
      [
        {
          name: 'create',
          order: 'dependencies-first',
          concurrency: CALLS_AT_ONCE,
          takesPart: (position) => planned.has(position),
          run: async (position) => {
            const [action, artifact] = [planned.get(position), created.get(position)];
            if (action === undefined) return;
            const made = artifact
              ? await create(context, destination, artifact)
              : await standIn(context, action);
            standIns.add(made);
          },
        },
        {
          name: 'fill',
          order: 'free',
          concurrency: VOLUMES_AT_ONCE,
          takesPart: (position) => (created.get(position)?.volume ?? null) !== null,
          run: async (position) => {
            const { resource, volume = null } = created.get(position) ?? {};
            if (resource === undefined || volume === null) return;
            await this.#fill(context, opened, destination, { resource, volume }, standIns);
          },
        },
        {
          name: 'connect',
          order: 'dependencies-first',
          concurrency: CALLS_AT_ONCE,
          takesPart: (position) => created.has(position),
          run: async (position) => {
            const artifact = created.get(position);
            if (artifact === undefined) return;
            await connect(context, destination, artifact, standIns, map);
            context.progress.item();
          },
        },
      ],
      'fail',
    );
    return { checkpoint, resources: created.size, volumes: volumes.length, bytes } satisfies RestoreResult;
  }

  // A restore that was read back is the best proof there is of the copy it was made from.
  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const call = { signal: context.signal };
    const leftovers = new Leftovers(context.signal);
    const { checkpoint } = context.job.input as RestoreInput;
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    for (const [step, used] of context.results('fill/')) {
      await leftovers.attempt(`record the proof that ${step} gave`, async () => {
        const at = new Date(context.clock.now()).toISOString();
        const { job } = context;
        const proven = {
          kind: 'copy-proven',
          proof: 'restored',
          job: job.id,
          at,
          ...(used as CopyKey),
        } as const;
        await putAddendum(opened.vault, opened.commit.id, proven, call);
      });
    }
    return leftovers.addTo(result);
  }

  async undo(context: OperationContext): Promise<void> {
    const { to } = context.job.input as RestoreInput;
    for (const intent of creationsAmong(context.intents())) {
      await context.effect(`undo/${intent}`, async (call) => {
        await this.#removeCreated(to, context.job, intent, call);
        return null;
      });
    }
  }

  // A creation that comes late finds what a restore that succeeded has made.
  async removeLate(
    ended: JobRecord,
    intents: readonly string[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    if (ended.state === 'succeeded') return [];
    const { to } = ended.input as RestoreInput;
    for (const intent of creationsAmong(intents)) await this.#removeCreated(to, ended, intent, call);
    return [];
  }

  async #removeCreated(to: string, job: JobRecord, intent: string, call: CallOptions): Promise<void> {
    const protectable = protectableFor(this.#services.provider(to, job.tenant), {
      type: splitParts(intent)[1] ?? '',
    });
    await protectable.remove({ token: effectToken(job, intent) }, call);
  }

  async #fill(
    context: OperationContext,
    opened: OpenedCheckpoint,
    destination: Provider,
    { resource, volume }: { readonly resource: ResourceKey; readonly volume: ProtectedVolume },
    standIns: StandIns,
  ): Promise<void> {
    const share = context.progress.share(volume.volume.size);
    await context.effect(`fill/${describeKey(resource)}`, async () => {
      await using target = await openTarget(context, destination, standIns.made(resource));
      const call = { signal: context.signal, progress: (bytes: number) => share.advance(bytes) };
      let failure: unknown;
      for (const copy of bestFirst(volume.copies)) {
        try {
          await storeOf(this.#services, opened.commit, copy).restoreInto(copy, target, call);
          return copyKeyOf(copy);
        } catch (error) {
          // Another copy of the same instant serves as well, where this one is gone, damaged or out of reach.
          if (!isDamage(error) && !isUnreachable(error)) throw error;
          failure ??= error;
        }
      }
      throw failure ?? new FafnirError('NOT_AVAILABLE', `no copy of ${describeKey(resource)} is left`);
    });
    share.finish();
  }
}

// Dependants are removed first.
const creationsAmong = (intents: readonly string[]): readonly string[] =>
  intents.filter((name) => name.startsWith('create/')).toReversed();

// An archive can be checked while it is read, and does not load the array that the application runs on.
const bestFirst = (copies: readonly SnapshotCopy[]): readonly SnapshotCopy[] =>
  copies.toSorted((a, b) => Number(b.kind === 'archive') - Number(a.kind === 'archive'));

function artifactOf(artifacts: ReadonlyMap<string, Artifact>, resource: ResourceKey): Artifact {
  const artifact = artifacts.get(describeKey(resource));
  if (artifact === undefined)
    throw new FafnirError('CORRUPT', `the checkpoint has nothing of ${describeKey(resource)}`);
  return artifact;
}

/** What stands for originals, as far as it is there. */
class StandIns {
  readonly #known: Map<string, ResourceKey>;
  readonly #excluded: ReadonlySet<string>;

  constructor({ excluded }: ResourceGraph, { standIns }: RestorePlan) {
    this.#known = new Map(standIns.map(({ from, to }) => [describeKey(from), to]));
    this.#excluded = new Set(excluded.map(describeKey));
  }

  add({ from, to }: StandIn): void {
    this.#known.set(describeKey(from), to);
  }

  made(original: ResourceKey): ResourceKey {
    const standIn = this.of(original);
    if (standIn !== undefined) return standIn;
    throw new FafnirError('NOT_FOUND', `nothing stands for ${describeKey(original)}`);
  }

  // As ConnectRequest.resolve.
  of(original: ResourceKey): ResourceKey | undefined {
    const name = describeKey(original);
    const standIn = this.#known.get(name);
    if (standIn !== undefined || this.#excluded.has(name)) return standIn;
    throw new FafnirError('NOT_FOUND', `${name} is not part of the restore`);
  }
}

const creationToken = (context: OperationContext, resource: ResourceKey): string =>
  effectToken(context.job, `create/${describeKey(resource)}`);

function create(
  context: OperationContext,
  destination: Provider,
  { resource, description }: Artifact,
): Promise<StandIn> {
  return context.effect(
    `create/${describeKey(resource)}`,
    async (call) => {
      const token = creationToken(context, resource);
      const made = await protectableFor(destination, resource).create(description, { token }, call);
      return { from: resource, to: { type: made.type, id: made.id } };
    },
    description,
  );
}

function standIn(context: OperationContext, { resource, standIn: to }: RestoreAction): Promise<StandIn> {
  const { type, id } = resource;
  return context.step(`map/${describeKey(resource)}`, async () => ({
    from: { type, id },
    to: to ?? { type, id },
  }));
}

async function openTarget(
  context: OperationContext,
  destination: Provider,
  resource: ResourceKey,
): Promise<VolumeTarget> {
  const call = { signal: context.signal };
  const ways = (await protectableFor(destination, resource).volumes?.(resource, call)) ?? [];
  for (const volume of ways) {
    const target = destination.arrays.get(volume.array)?.target;
    if (target === undefined) continue;
    // The volume exists since a moment ago, and somebody may have begun to protect it.
    await context.hold([volumeLease(destination.name, volume, 'restore')], 'wait');
    return target.openForWrite(volume, call);
  }
  const names = ways.map(({ array }) => array).join(', ') || 'none';
  throw new FafnirError(
    'UNSUPPORTED',
    `${describeKey(resource)} is on array ${names}, which cannot be written to`,
  );
}

async function connect(
  context: OperationContext,
  destination: Provider,
  { resource, description }: Artifact,
  standIns: StandIns,
  map: RestoreMap,
): Promise<void> {
  await context.effect(`connect/${describeKey(resource)}`, async () => {
    const request = {
      token: creationToken(context, resource),
      description,
      resolve: (original: ResourceKey) => standIns.of(original),
      address: (original: string) => map.addresses?.[original] ?? original,
    };
    const call = { signal: context.signal };
    await protectableFor(destination, resource).connect(standIns.made(resource), request, call);
    return null;
  });
}
