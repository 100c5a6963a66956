import type { Part, Protectable, Resource, StorageArray } from '../../src/index.ts';

const VOLUME = 'Bench::Volume';

/** The one application. */
export const APPLICATION = { type: 'Bench::Application', id: 'shop' } as const;

const resource = (type: string, id: string): Resource => ({ type, id, name: id, attributes: {} });
const refuse = (): Promise<never> => Promise.reject(new Error('nothing is restored here'));

/** An application over volumes of an array that can be paused, which takes no time: what is measured is the rest. */
export function pausableApplication(array: StorageArray, volumes: readonly string[], size: number): Part {
  const common = (type: string, ids: readonly string[]) => ({
    contract: 1 as const,
    type,
    async *list() {
      for (const id of ids) yield resource(type, id);
    },
    find: async (wanted: readonly string[]) =>
      ids.filter((id) => wanted.includes(id)).map((id) => resource(type, id)),
    capture: async () => ({}),
    create: refuse,
    connect: refuse,
    remove: refuse,
  });
  const application: Protectable = {
    ...common(APPLICATION.type, [APPLICATION.id]),
    groupsVolumes: true,
    quiescing: { quiesce: async () => ({}), unquiesce: async () => undefined },
    dependencies: async (batch) => ({
      resources: volumes.map((id) => resource(VOLUME, id)),
      edges: {
        from: batch.flatMap((_, at) => volumes.map(() => at)),
        to: batch.flatMap(() => [...volumes.keys()]),
      },
      failures: [],
    }),
  };
  const volume: Protectable = {
    ...common(VOLUME, volumes),
    dependencies: async () => ({ resources: [], edges: { from: [], to: [] }, failures: [] }),
    volumes: async ({ id }) => [{ array: array.name, id, size }],
  };
  return { contract: 1, name: 'bench', protectables: [application, volume], arrays: [array] };
}
