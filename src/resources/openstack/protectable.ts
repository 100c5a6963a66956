import type { Dependencies, JsonObject, Protectable, Resource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Cloud } from './cloud.ts';
import { type Item, type Kind, type Listed, resourceOf, type Target } from './kind.ts';

/** The Protectable of a kind; `array` is the name of the one that has the volumes of the cloud. */
export function openStackProtectable<Listing extends Item>(
  kind: Kind<Listing>,
  cloud: Cloud,
  array: string,
): Protectable {
  const { type, groupsVolumes, maker } = kind;
  const sizeOf = kind.sizeOf?.bind(kind);
  const protectable: Protectable = {
    contract: 1,
    type,
    ...(groupsVolumes === undefined ? {} : { groupsVolumes }),

    async *list(call) {
      const { id: project } = await cloud.project(call);
      for await (const item of kind.read(cloud, call)) {
        if (kind.isOwn(item, project)) yield resourceOf(kind, item);
      }
    },

    async find(ids, call) {
      const listed = await cloud.list(kind, call);
      return [...new Set(ids)].flatMap((id) => listed.target(id).resource ?? []);
    },

    async dependencies(resources, call) {
      const listed = await cloud.shared(kind, call);
      const { id: project } = await cloud.project(call);
      const targetsOf = await kind.links?.((other) => cloud.shared(other, call), project);
      return gather(kind.type, resources, listed, targetsOf ?? (() => []));
    },

    capture: ({ id }, call) => kind.capture(id, cloud, call),

    ...(maker.nameless === undefined && { renames: true }),
    ...(maker.joined && { joined: true }),
    ...(maker.maps && { maps: maker.maps }),
    ...(maker.gaps && { gaps: async (requests, call) => (await maker.gaps?.(requests, cloud, call)) ?? [] }),

    async create(description, request, call) {
      const id = await maker.create(description, request, cloud, call);
      return { type, id, name: nameIn(description, request.name), attributes: {} };
    },

    async connect({ id }, request, call) {
      await maker.connect(id, request, cloud, call);
    },

    ...(maker.probe && {
      probe: async ({ id }, request, call) => await maker.probe?.(id, request, cloud, call),
    }),

    async remove({ token }, call) {
      call.signal.throwIfAborted();
      await maker.remove(token, cloud, call);
    },
  };
  if (sizeOf === undefined) return Object.freeze(protectable);
  return Object.freeze<Protectable>({
    ...protectable,
    volumes: async ({ id }, call) => [{ array, id, size: await sizeOf(id, cloud, call) }],
  });
}

function gather<Listing extends Item>(
  type: string,
  batch: readonly Resource[],
  listed: Listed<Listing>,
  targetsOf: (item: Listing) => readonly Target[],
): Dependencies {
  const resources: Resource[] = [];
  const edges = { from: [] as number[], to: [] as number[] };
  const failures: { at: number; error: unknown }[] = [];
  const positions = new Map<string, number>();
  for (const [at, { id }] of batch.entries()) {
    const item = listed.get(id);
    if (item === undefined) failures.push({ at, error: gone(type, id) });
    const targets = new Set<number>();
    let missing: Target['key'] | undefined;
    for (const { key, resource } of item === undefined ? [] : targetsOf(item)) {
      if (resource === undefined) {
        missing ??= key;
        continue;
      }
      const name = `${key.type}/${key.id}`;
      const position = positions.get(name) ?? resources.push(resource) - 1;
      positions.set(name, position);
      targets.add(position);
    }
    if (missing !== undefined) failures.push({ at, error: gone(missing.type, missing.id) });
    for (const target of targets) {
      edges.from.push(at);
      edges.to.push(target);
    }
  }
  return { resources, edges, failures };
}

function nameIn({ name: described }: JsonObject, wanted: string | undefined): string {
  return wanted ?? (typeof described === 'string' ? described : '');
}

function gone(type: string, id: string): FafnirError {
  return new FafnirError('NOT_FOUND', `${type} ${id} does not exist, or belongs to others`);
}
