import type { CallOptions, Provider } from '../contracts/index.ts';
import { checkFound } from '../graph/answers.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { addressesOf, namesFor } from './restore-mapping.ts';
import { artifactsIn, type RestoreAction, type RestoreMap } from './restore-plan.ts';
import type { ReplacingPlan } from './restore-replace.ts';
import type { OpenedCheckpoint } from './services.ts';

const BATCH = 1_000;

/** What stands in the way of a restore to this destination, beside volumes that are overwritten. Without effects. */
export async function findGaps(
  plan: Pick<ReplacingPlan, 'actions' | 'standIns' | 'overwrites'>,
  {
    opened,
    destination,
  }: { readonly opened: Pick<OpenedCheckpoint, 'artifacts'>; readonly destination: Provider },
  map: RestoreMap,
  call: CallOptions,
): Promise<readonly string[]> {
  return [
    ...(await mappingGaps(plan, destination, map, call)),
    ...nameGaps(map, destination),
    ...(await creationGaps(plan.actions, { opened, destination }, map, call)),
  ];
}

async function mappingGaps(
  { actions, standIns, overwrites }: Parameters<typeof findGaps>[0],
  destination: Provider,
  map: RestoreMap,
  call: CallOptions,
): Promise<readonly string[]> {
  const gaps: string[] = [];
  const unused = new Set((map.resources ?? []).map(({ from }) => describeKey(from)));
  const outside = standIns.map(({ from, to }) => ({ resource: from, standIn: to }));
  for (const { resource, standIn } of [...actions, ...outside]) {
    unused.delete(describeKey(resource));
    const name = describeKey(resource);
    if (standIn === null) {
      if (!destination.protectables.has(resource.type)) {
        gaps.push(`${destination.name} cannot create ${name}: it has no plugin for the type`);
      }
      continue;
    }
    if (standIn.type !== resource.type) {
      gaps.push(`${name} is mapped to ${describeKey(standIn)}, which is of another type`);
      continue;
    }
    const protectable = destination.protectables.get(standIn.type);
    const found = (await protectable?.find([standIn.id], call)) ?? [];
    if (protectable !== undefined) checkFound(found, protectable);
    if (!found.some(({ id }) => id === standIn.id)) {
      gaps.push(`${name} is mapped to ${describeKey(standIn)}, which ${destination.name} does not have`);
    }
  }
  if (overwrites.length === 0 && actions.every(({ standIn }) => standIn !== null))
    gaps.push('everything is mapped: nothing is to be restored');
  for (const name of unused) gaps.push(`${name} is mapped, but is not part of what is restored`);
  return gaps;
}

function nameGaps({ names = {} }: RestoreMap, { name, protectables }: Provider): readonly string[] {
  const known = new Set([...protectables.values()].flatMap(({ maps = [] }) => maps));
  return Object.keys(names).flatMap((kind) =>
    known.has(kind) ? [] : `names of ${kind} are mapped, and no plugin of ${name} asks for them`,
  );
}

/** What the plugins say of what they are to create. */
async function creationGaps(
  actions: readonly RestoreAction[],
  { opened, destination }: Parameters<typeof findGaps>[1],
  map: RestoreMap,
  call: CallOptions,
): Promise<readonly string[]> {
  const artifactOf = artifactsIn(opened);
  const created = actions.flatMap(({ resource, standIn }) => (standIn === null ? resource : []));
  const gaps: string[] = [];
  for (const protectable of destination.protectables.values()) {
    const own = created.filter(({ type }) => type === protectable.type);
    const common = { ...addressesOf(map), ...namesFor(map, protectable) };
    for (let from = 0; from < own.length; from += BATCH) {
      const batch = own.slice(from, from + BATCH);
      const requests = batch.map((one) => ({ description: artifactOf(one).description, ...common }));
      for (const { at, reason } of (await protectable.gaps?.(requests, call)) ?? [])
        for (const resource of batch.slice(at, at + 1)) gaps.push(`${describeKey(resource)}: ${reason}`);
    }
  }
  return gaps;
}
