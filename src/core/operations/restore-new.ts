import type { Artifact, ProtectedVolume } from '../archive/artifacts.ts';
import type {
  CallOptions,
  ConnectRequest,
  CreateRequest,
  JobRecord,
  Provider,
  Resource,
  ResourceKey,
  Surroundings,
  VolumeRef,
  VolumeTarget,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { splitParts } from '../identity.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { volumeLease } from '../policy/exclusion.ts';
import { assertOverwritable } from './overwrite-plan.ts';
import { holdTargets, overwrite, protectFirst } from './overwriting.ts';
import { conflictGaps, type Conflicts, findConflicts, planAround } from './restore-conflicts.ts';
import { snapshotOf } from './array-copies.ts';
import { intendReadings } from './readings.ts';
import { restoreVolume } from './restore-data.ts';
import { findGaps } from './restore-gaps.ts';
import type { RestoreInput, RestoreResult } from './restore-input.ts';
import { addressesOf, namesFor } from './restore-mapping.ts';
import {
  artifactsIn,
  assertRestorable,
  type RestoreAction,
  type RestoreMap,
  type RestorePlan,
  type StandIn,
} from './restore-plan.ts';
import { probeCreated } from './restore-probes.ts';
import { findReplaced } from './restore-replace.ts';
import { type ArrayWork, askArray, clonableFrom, countWays, FILL } from './restore-ways.ts';
import { type OpenedCheckpoint, type OperationServices, protectableFor } from './services.ts';
import { effectToken } from './tokens.ts';
import { walkGraph } from './walk-graph.ts';

const CALLS_AT_ONCE = 8;
const VOLUMES_AT_ONCE = 2;
const CONFLICT = 'conflict/';

/** What is restored, and to where. */
export interface RestoreRequest {
  /** The checkpoint. */
  readonly opened: OpenedCheckpoint;
  /** Its graph. */
  readonly graph: ResourceGraph;
  /** The provider. */
  readonly destination: Provider;
}

/**
 * Creates resources, fills their volumes and connects them. The result of every `create/…` and `map/…` step is a
 * StandIn: that is where the host learns the new ids.
 */
export async function restoreNew(
  context: OperationContext,
  services: OperationServices,
  { opened, graph, destination }: RestoreRequest,
): Promise<RestoreResult> {
  const call = { signal: context.signal };
  const input = context.job.input as RestoreInput;
  const { checkpoint, map, conflict, safety } = input;
  const request = { opened, graph, destination };
  const { plan, conflicts } = await planAround(request, input, (actions) =>
    conflictsOnce(context, actions, destination),
  );
  const { actions, overwrites } = plan;
  const replaced = await holdTargets(context, destination, (call) => findReplaced(plan, request, call));
  await context.step('check', async () => {
    assertRestorable(opened, graph, plan);
    assertOverwritable(opened, graph, overwrites);
    const gaps = [
      ...(await findGaps(plan, request, map, call)),
      ...conflictGaps(plan, conflicts, conflict, destination),
      ...replaced.gaps,
    ];
    if (gaps.length > 0) throw new FafnirError('MAPPING_GAP', gaps.join('; '));
    return null;
  });
  const artifactOf = artifactsIn(opened);
  const planned = new Map(actions.map((action) => [action.position, action]));
  const created = new Map<number, Artifact>();
  for (const { position, resource, standIn } of actions)
    if (standIn === null) created.set(position, artifactOf(resource));
  const filled = [...created.values()].flatMap(({ volume }) => volume?.volume ?? []);
  const written = bytesOf([...replaced.volumes.values()]);
  const bytes = bytesOf(filled) + written;
  const safe = safety === 'checkpoint' ? written : 0;
  context.usage.concerns({ logical: bytes });
  context.progress.expect({ items: created.size + overwrites.length, bytes: bytes + safe });
  const made = overwrites.length > 0 ? await protectFirst(context, destination, overwrites, written) : {};

  const isRenamed = ({ resource }: RestoreAction): boolean =>
    conflict === 'rename' && conflicts.has(describeKey(resource));
  const overwritten = new Map(overwrites.map((one) => [one.position, one]));
  const standIns = new StandIns(graph, plan);
  const make = async (artifact: Artifact, action: RestoreAction): Promise<void> => {
    const name = isRenamed(action) ? action.resource.name : null;
    standIns.add(await create(context, services, request, artifact, { name, map, standIns }));
  };
  const isJoined = (position: number): boolean => {
    const artifact = created.get(position);
    return artifact !== undefined && protectableFor(destination, artifact.resource).joined === true;
  };
  await walkGraph(
    context,
    graph,
    [
      {
        name: 'create',
        order: 'dependencies-first',
        concurrency: CALLS_AT_ONCE,
        takesPart: (position) => planned.has(position) && !isJoined(position),
        run: async (position) => {
          const [action, artifact] = [planned.get(position), created.get(position)];
          if (action === undefined) return;
          if (artifact) await make(artifact, action);
          else standIns.add(await standIn(context, action));
        },
      },
      {
        name: 'fill',
        order: 'free',
        concurrency: VOLUMES_AT_ONCE,
        takesPart: (position) =>
          overwritten.has(position) || (created.get(position)?.volume ?? null) !== null,
        run: async (position) => {
          const existing = overwritten.get(position);
          if (existing !== undefined) {
            await overwrite(context, services, request, existing, replaced.volumes.get(position));
            context.progress.item();
            return;
          }
          const { resource, volume = null } = created.get(position) ?? {};
          if (resource === undefined || volume === null) return;
          await fill(context, services, request, { resource, volume }, standIns);
        },
      },
      {
        name: 'connect',
        order: 'dependencies-first',
        concurrency: CALLS_AT_ONCE,
        takesPart: (position) => created.has(position),
        run: async (position) => {
          const [action, artifact] = [planned.get(position), created.get(position)];
          if (action === undefined || artifact === undefined) return;
          if (isJoined(position)) await make(artifact, action);
          await connect(context, destination, artifact, standIns, map);
          context.progress.item();
        },
      },
    ],
    'fail',
  );
  const probed = await probeCreated(context, graph, destination, created, async (position, call) => {
    const artifact = created.get(position);
    if (artifact === undefined) return;
    const request = connectionOf(context, destination, artifact, standIns, map);
    const protectable = protectableFor(destination, artifact.resource);
    await protectable.probe?.(standIns.made(artifact.resource), request, call);
  });
  const by = countWays(context);
  const volumes = filled.length + overwrites.length;
  return { checkpoint, resources: created.size, volumes, probed, by, bytes, ...made };
}

const bytesOf = (volumes: readonly VolumeRef[]): number => volumes.reduce((sum, { size }) => sum + size, 0);

// What the restore itself creates is no conflict, so that what was found before counts.
async function conflictsOnce(
  context: OperationContext,
  actions: readonly RestoreAction[],
  destination: Provider,
): Promise<Conflicts> {
  if (context.result('conflicts') === undefined) {
    const found = await context.retry((call) => findConflicts(actions, destination, call));
    for (const [name, keys] of found) await context.step(CONFLICT + name, async () => keys);
    await context.step('conflicts', async () => found.size);
  }
  const journaled = [...context.results(CONFLICT)];
  return new Map(journaled.map(([step, keys]) => [step.slice(CONFLICT.length), keys as ResourceKey[]]));
}

/** Removes what the creation of this intent made, if anything. */
export async function removeCreated(
  services: OperationServices,
  job: JobRecord,
  intent: string,
  call: CallOptions,
): Promise<void> {
  const { to } = job.input as RestoreInput;
  const protectable = protectableFor(services.provider(to, job.tenant), {
    type: splitParts(intent)[1] ?? '',
  });
  await protectable.remove({ token: effectToken(job, intent) }, call);
}

/** The intents of creations, dependants before what they depend on. */
export const creationsAmong = (intents: readonly string[]): readonly string[] =>
  intents.filter((name) => name.startsWith('create/')).toReversed();

async function fill(
  context: OperationContext,
  services: OperationServices,
  { opened, destination }: Pick<RestoreRequest, 'opened' | 'destination'>,
  { resource, volume }: { readonly resource: ResourceKey; readonly volume: ProtectedVolume },
  standIns: StandIns,
): Promise<void> {
  const share = context.progress.share(volume.volume.size);
  const name = describeKey(resource);
  const { copies } = volume;
  const { cloned: asked } = context.result(`create/${name}`) as Creation;
  const step = FILL + name;
  const tokenOf = await intendReadings(context, services, opened.commit, copies, step);
  await context.effect(step, async () => {
    await using target = await openTarget(context, destination, standIns.made(resource));
    const call = { signal: context.signal, progress: (bytes: number) => share.advance(bytes), tokenOf };
    return await restoreVolume(services, opened, { resource, copies }, { target, asked }, call);
  });
  share.finish();
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

/** What a creation comes to. */
type Creation = StandIn & {
  /** What came of asking an array to make the volume from a snapshot, where one was asked. */
  readonly cloned?: ArrayWork;
};

/** What a creation heeds, beside the description. */
interface CreationWays {
  /** The name that is taken; null where its own serves. */
  readonly name: string | null;
  /** How originals become what they are at the destination. */
  readonly map: RestoreMap;
  /** What stands for what by now. */
  readonly standIns: StandIns;
}

const surroundingsIn = (standIns: StandIns, map: RestoreMap): Surroundings => ({
  resolve: (original) => standIns.of(original),
  ...addressesOf(map),
});

function create(
  context: OperationContext,
  services: OperationServices,
  { opened, destination }: Pick<RestoreRequest, 'opened' | 'destination'>,
  { resource, description, volume }: Artifact,
  { name: taken, map, standIns }: CreationWays,
): Promise<Creation> {
  return context.effect(
    `create/${describeKey(resource)}`,
    async (call) => {
      const token = creationToken(context, resource);
      const protectable = protectableFor(destination, resource);
      const request: CreateRequest = {
        token,
        ...(taken !== null && { name: `${taken}-${token.slice(0, 8)}` }),
        ...namesFor(map, protectable),
        ...(protectable.joined && { surroundings: surroundingsIn(standIns, map) }),
      };
      const make = (more: Pick<CreateRequest, 'from'>): Promise<Resource> =>
        protectable.create(description, { ...request, ...more }, call);
      const usable = clonableFrom(services, { opened, destination }, volume?.copies ?? [], resource);
      const clone = usable && (await askArray('clone', usable, () => make({ from: snapshotOf(usable) })));
      const { type, id } = clone?.value ?? (await make({}));
      return { from: resource, to: { type, id }, ...(clone && { cloned: clone.asked }) };
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

const connectionOf = (
  context: OperationContext,
  destination: Provider,
  { resource, description }: Artifact,
  standIns: StandIns,
  map: RestoreMap,
): ConnectRequest => ({
  token: creationToken(context, resource),
  description,
  ...namesFor(map, protectableFor(destination, resource)),
  ...surroundingsIn(standIns, map),
});

async function connect(
  context: OperationContext,
  destination: Provider,
  artifact: Artifact,
  standIns: StandIns,
  map: RestoreMap,
): Promise<void> {
  const { resource } = artifact;
  await context.effect(`connect/${describeKey(resource)}`, async () => {
    const request = connectionOf(context, destination, artifact, standIns, map);
    const call = { signal: context.signal };
    await protectableFor(destination, resource).connect(standIns.made(resource), request, call);
    return null;
  });
}
