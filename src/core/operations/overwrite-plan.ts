import pMap from 'p-map';
import type { ProtectedVolume } from '../archive/artifacts.ts';
import type { OpenCheckpoint } from '../archive/catalog.ts';
import type { CallOptions, Provider, Resource, ResourceKey, VolumeRef } from '../contracts/index.ts';
import { closure } from '../graph/closure.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import { joinParts } from '../identity.ts';
import { assertRestorable, type RestoreMap } from './restore-plan.ts';

const CALLS_AT_ONCE = 8;

/** A volume of a checkpoint whose bytes an existing volume is to hold. */
export type Overwrite = {
  /** Where its resource is in the graph. */
  readonly position: number;
  /** The original. */
  readonly resource: Resource;
  /** Its copies; null where the checkpoint lacks it. */
  readonly volume: ProtectedVolume | null;
  /** Whose volume is overwritten: what is mapped to, else the original itself. */
  readonly target: ResourceKey;
  /** True where the map says so. */
  readonly isMapped: boolean;
  /** True where it was not chosen, but something that was depends on it. */
  readonly added: boolean;
};

/** Where overwrites go. */
export type OverwriteTargets = {
  /** By position, the volume that is overwritten. */
  readonly volumes: ReadonlyMap<number, VolumeRef>;
  /** What stands in the way, as sentences. */
  readonly gaps: readonly string[];
};

/** The volumes among what is chosen, or among all, with all it depends on. */
export function planOverwrites(
  graph: ResourceGraph,
  { artifacts }: Pick<OpenCheckpoint, 'artifacts'>,
  destination: Pick<Provider, 'protectables'>,
  map: RestoreMap,
  chosen: readonly ResourceKey[] | null,
): readonly Overwrite[] {
  const mapped = new Map((map.resources ?? []).map(({ from, to }) => [describeKey(from), to]));
  const left = new Map(artifacts.map(({ resource, volume }) => [describeKey(resource), volume]));
  const part = closure(graph, chosen ?? graph.resources);
  const added = new Set(part.added);
  return [...part.positions].flatMap((position) => {
    const resource = graph.resources[position];
    if (resource === undefined) return [];
    const name = describeKey(resource);
    const volume = left.get(name);
    // Of what the checkpoint lacks, only the type tells whether it has data.
    const mayHaveData = destination.protectables.get(resource.type)?.volumes !== undefined;
    if (volume === null || (volume === undefined && !mayHaveData)) return [];
    const standIn = mapped.get(name);
    const { type, id } = standIn ?? resource;
    return {
      position,
      resource,
      volume: volume ?? null,
      target: { type, id },
      isMapped: standIn !== undefined,
      added: added.has(position),
    };
  });
}

/** Rejects with `NOT_AVAILABLE` unless the checkpoint has all volumes that are to be restored. */
export function assertOverwritable(
  opened: OpenCheckpoint,
  graph: ResourceGraph,
  overwrites: readonly Overwrite[],
): void {
  const actions = overwrites.map(({ position, resource, added }) => ({
    position,
    resource,
    added,
    standIn: null,
  }));
  assertRestorable(opened, graph, { actions });
}

/** Looks for what would be overwritten, and for what stands in the way. Without effects. */
export async function findTargets(
  overwrites: readonly Overwrite[],
  { site }: { readonly site: string },
  destination: Provider,
  call: CallOptions,
): Promise<OverwriteTargets> {
  const { signal } = call;
  const found = await pMap(overwrites, (one) => findTarget(one, site, destination, call), {
    concurrency: CALLS_AT_ONCE,
    signal,
  });
  const volumes = new Map<number, VolumeRef>();
  const gaps: string[] = [];
  const taken = new Map<string, string>();
  for (const [at, { position, resource }] of overwrites.entries()) {
    const [name, target] = [describeKey(resource), found[at]];
    if (target === undefined) continue;
    if (typeof target === 'string') {
      gaps.push(target);
      continue;
    }
    const place = joinParts(target.array, target.id);
    const other = taken.get(place);
    if (other !== undefined) gaps.push(`${other} and ${name} would both be written to volume ${target.id}`);
    taken.set(place, name);
    volumes.set(position, target);
  }
  return { volumes, gaps };
}

/** What stands in the way of restoring volumes alone, as sentences. */
export function overwriteGaps(overwrites: readonly Overwrite[], map: RestoreMap): readonly string[] {
  const names = new Set(overwrites.map(({ resource }) => describeKey(resource)));
  const unused = (map.resources ?? [])
    .map(({ from }) => describeKey(from))
    .filter((name) => !names.has(name));
  return [
    ...(overwrites.length === 0 ? ['there is no volume among what is to be restored'] : []),
    ...unused.map((name) => `${name} is mapped, but is no volume of what is restored`),
  ];
}

async function findTarget(
  { resource, volume, target, isMapped }: Overwrite,
  site: string,
  destination: Provider,
  call: CallOptions,
): Promise<VolumeRef | string> {
  const [name, to] = [describeKey(resource), describeKey(target)];
  if (target.type !== resource.type) return `${name} is mapped to ${to}, which is of another type`;
  // On another site, what has its id is another volume.
  if (!isMapped && destination.site !== site) {
    return `${name} is mapped to nothing, and itself on site ${site}, not on site ${destination.site}`;
  }
  const protectable = destination.protectables.get(target.type);
  if (protectable?.volumes === undefined) return `${destination.name} has no plugin for volumes of ${to}`;
  const existing = await protectable.find([target.id], call);
  if (!existing.some(({ id }) => id === target.id)) return `${destination.name} does not have ${to}`;
  const ways = await protectable.volumes(target, call);
  const writable = ways.find(({ array }) => destination.arrays.get(array)?.target !== undefined);
  if (writable === undefined) {
    return `${to} is on array ${ways.map(({ array }) => array).join(', ') || 'none'}, which cannot be written to`;
  }
  if (volume !== null && writable.size !== volume.volume.size) {
    return `${to} has ${writable.size} bytes, and ${name} had ${volume.volume.size}: it can only be restored as a new one`;
  }
  return writable;
}
