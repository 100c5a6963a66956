import { FafnirError, type Part, type Protectable, type Resource, type StorageArray } from 'fafnir';
import { imageNames, imageSize } from './rbd.ts';

/** The type of the resources. */
export const IMAGE = 'Rbd::Image';

const named = (token: string): string => `example-restored-${token}`;
const asResource = (id: string): Resource => ({ type: IMAGE, id, name: id, attributes: {} });

/** The images of a pool, each a resource that depends on nothing. What is restored gets a new name. */
export function images(array: StorageArray): Part {
  const volumeOf = async (id: string) => ({ array: array.name, id, size: await sizeOf(id) });
  const image: Protectable = {
    contract: 1,
    type: IMAGE,
    async *list() {
      for (const name of await imageNames()) yield asResource(name);
    },
    async find(ids) {
      const sizes = await Promise.all(ids.map(imageSize));
      return ids.filter((_, at) => sizes[at] !== undefined).map(asResource);
    },
    dependencies: async () => ({ resources: [], edges: { from: [], to: [] }, failures: [] }),
    capture: async ({ id }) => ({ size: await sizeOf(id) }),
    async create({ size }, { token }, call) {
      if (typeof size !== 'number' || array.target === undefined)
        throw new FafnirError('CORRUPT', 'the description of an image has no size');
      return asResource((await array.target.create({ name: named(token), size }, call)).id);
    },
    connect: async () => undefined,
    async remove({ token }, call) {
      await array.target?.remove({ array: array.name, id: named(token), size: 0 }, call);
    },
    volumes: async ({ id }) => [await volumeOf(id)],
  };
  return { contract: 1, name: 'images', protectables: [image], arrays: [array] };
}

async function sizeOf(id: string): Promise<number> {
  const size = await imageSize(id);
  if (size !== undefined) return size;
  throw new FafnirError('NOT_FOUND', `there is no image ${id}`);
}
