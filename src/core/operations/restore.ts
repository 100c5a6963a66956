import pMap from 'p-map';
import type { Artifact, ProtectedVolume } from '../archive/artifacts.ts';
import { type CopyKey, putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import { getGraph } from '../archive/stored-graph.ts';
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
import { describeKey, ResourceGraph } from '../graph/resource-graph.ts';
import { splitParts } from '../identity.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease, volumeLease } from '../policy/exclusion.ts';
import { copyKeyOf, isUnreachable, storeOf } from './copies.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import { findGaps, planRestore, type RestoreMap, type StandIn } from './restore-plan.ts';
import { type OperationServices, type OpenedCheckpoint, protectableFor } from './services.ts';
import { effectToken } from './tokens.ts';

const VOLUMES_AT_ONCE = 2;

/** What a restore job is asked to do. */
export type RestoreInput = {
  /** What to restore. */
  readonly checkpoint: CheckpointId;
  /** The provider to restore to. */
  readonly to: string;
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
    const { checkpoint, to, map } = context.job.input as RestoreInput;
    await context.hold([checkpointLease(checkpoint, 'read')]);
    const destination = this.#services.provider(to);
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    const graph = ResourceGraph.from(
      await context.retry(() => getGraph(opened.bank, opened.commit, opened.commit.graph, call)),
    );
    const actions = planRestore(graph, map);
    await context.step('check', async () => {
      assertAvailable(opened);
      const gaps = await findGaps(actions, destination, map, call);
      if (gaps.length > 0) throw new FafnirError('MAPPING_GAP', gaps.join('; '));
      return null;
    });
    const artifacts = new Map(opened.artifacts.map((artifact) => [describeKey(artifact.resource), artifact]));
    const created = actions.flatMap(({ resource, standIn }) =>
      standIn === null ? [artifactOf(artifacts, resource)] : [],
    );
    const volumes = created.flatMap(({ resource, volume }) =>
      volume === null ? [] : [{ resource, volume }],
    );
    const bytes = volumes.reduce((sum, { volume }) => sum + volume.volume.size, 0);
    context.progress.expect({ items: created.length, bytes });

    const standIns = new Map<string, ResourceKey>();
    for (const { resource, standIn } of actions) {
      const { type, id } = resource;
      const made =
        standIn === null
          ? await create(context, destination, artifactOf(artifacts, resource))
          : await context.step(`map/${describeKey(resource)}`, async () => ({
              from: { type, id },
              to: standIn,
            }));
      standIns.set(describeKey(resource), made.to);
    }
    await pMap(volumes, (one) => this.#fill(context, opened, destination, one, standIns), {
      concurrency: VOLUMES_AT_ONCE,
      signal: context.signal,
    });
    for (const artifact of created) {
      await connect(context, destination, artifact, standIns, map);
      context.progress.item();
    }
    return { checkpoint, resources: created.length, volumes: volumes.length, bytes } satisfies RestoreResult;
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
        await putAddendum(opened.bank, opened.commit, proven, call);
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
    const protectable = protectableFor(this.#services.provider(to), { type: splitParts(intent)[1] ?? '' });
    await protectable.remove({ token: effectToken(job, intent) }, call);
  }

  async #fill(
    context: OperationContext,
    opened: OpenedCheckpoint,
    destination: Provider,
    { resource, volume }: { readonly resource: ResourceKey; readonly volume: ProtectedVolume },
    standIns: ReadonlyMap<string, ResourceKey>,
  ): Promise<void> {
    const share = context.progress.share(volume.volume.size);
    await context.effect(`fill/${describeKey(resource)}`, async () => {
      await using target = await openTarget(context, destination, standInOf(standIns, resource));
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

/** Rejects with `NOT_AVAILABLE` unless every volume of the checkpoint can be restored. */
export function assertAvailable({ commit, state }: OpenedCheckpoint): void {
  if (state !== 'available') throw new FafnirError('NOT_AVAILABLE', `checkpoint ${commit.id} is ${state}`);
}

// An archive can be checked while it is read, and does not load the array that the application runs on.
const bestFirst = (copies: readonly SnapshotCopy[]): readonly SnapshotCopy[] =>
  copies.toSorted((a, b) => Number(b.kind === 'archive') - Number(a.kind === 'archive'));

function artifactOf(artifacts: ReadonlyMap<string, Artifact>, resource: ResourceKey): Artifact {
  const artifact = artifacts.get(describeKey(resource));
  if (artifact === undefined)
    throw new FafnirError('CORRUPT', `the checkpoint has nothing of ${describeKey(resource)}`);
  return artifact;
}

function standInOf(standIns: ReadonlyMap<string, ResourceKey>, original: ResourceKey): ResourceKey {
  const standIn = standIns.get(describeKey(original));
  if (standIn === undefined)
    throw new FafnirError('NOT_FOUND', `${describeKey(original)} is not part of the restore`);
  return standIn;
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
  standIns: ReadonlyMap<string, ResourceKey>,
  map: RestoreMap,
): Promise<void> {
  await context.effect(`connect/${describeKey(resource)}`, async () => {
    const request = {
      token: creationToken(context, resource),
      description,
      resolve: (original: ResourceKey) => standInOf(standIns, original),
      address: (original: string) => map.addresses?.[original] ?? original,
    };
    const call = { signal: context.signal };
    await protectableFor(destination, resource).connect(standInOf(standIns, resource), request, call);
    return null;
  });
}
