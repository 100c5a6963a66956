import type { JsonObject, Part, Protectable, Resource, StorageArray } from '../../../src/index.ts';

/** An application that is a number of images. */
export const APPLICATION = { type: 'Rbd::Application', id: 'shop' } as const;

const VOLUME = 'Rbd::Volume';

/** A part whose one application is these images of an array; what is restored is called `<prefix>-<token>`. */
export function rbdApplication(
  array: StorageArray,
  sizes: ReadonlyMap<string, number>,
  prefix: string,
): Part {
  const applications = new Set<string>([APPLICATION.id]);
  const volumes = new Map(sizes);
  const resource = (type: string, id: string): Resource => ({ type, id, name: id, attributes: {} });
  const common = (type: string, ids: () => Iterable<string>) => ({
    contract: 1 as const,
    type,
    async *list() {
      for (const id of ids()) yield resource(type, id);
    },
    find: async (wanted: readonly string[]) =>
      [...ids()].filter((id) => wanted.includes(id)).map((id) => resource(type, id)),
    connect: async () => undefined,
  });
  const application: Protectable = {
    ...common(APPLICATION.type, () => applications),
    groupsVolumes: true,
    async dependencies(batch) {
      const resources = [...sizes.keys()].map((id) => resource(VOLUME, id));
      const edges = batch.flatMap((_, from) => resources.map((__, to) => ({ from, to })));
      return {
        resources,
        edges: { from: edges.map(({ from }) => from), to: edges.map(({ to }) => to) },
        failures: [],
      };
    },
    capture: async () => ({}),
    async create(_, { token }) {
      applications.add(token);
      return resource(APPLICATION.type, token);
    },
    async remove({ token }) {
      applications.delete(token);
    },
  };
  const volume: Protectable = {
    ...common(VOLUME, () => volumes.keys()),
    dependencies: async () => ({ resources: [], edges: { from: [], to: [] }, failures: [] }),
    capture: async ({ id }): Promise<JsonObject> => ({ size: volumes.get(id) ?? 0 }),
    async create({ size }, { token }, call) {
      const made = await array.target?.create({ name: `${prefix}-${token}`, size: Number(size) }, call);
      if (made === undefined) throw new Error('the array makes no volumes');
      volumes.set(made.id, made.size);
      return resource(VOLUME, made.id);
    },
    async remove({ token }, call) {
      const id = `${prefix}-${token}`;
      await array.target?.remove({ array: array.name, id, size: 0 }, call);
      volumes.delete(id);
    },
    volumes: async ({ id }) => [{ array: array.name, id, size: volumes.get(id) ?? 0 }],
  };
  return { contract: 1, name: 'rbd', protectables: [application, volume], arrays: [array] };
}
