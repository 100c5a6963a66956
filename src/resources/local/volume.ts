import * as z from 'zod';
import type {
  ArraySnapshot,
  CallOptions,
  Protectable,
  Resource,
  StorageArray,
  VolumeRef,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isId } from '../../core/identity.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { assertCreatedBy, carriesToken, createdBy, findOrCreate, isFree } from './creation.ts';
import { checkFields, describeFields, labelsOf, localTags, originalId, readFields } from './record.ts';
import { type RecordFolder, recordFolder } from './record-folder.ts';
import { collectDependencies, type Finder } from './references.ts';

/** Where the volumes of a local system are. */
export interface LocalVolumeOptions {
  /** The system's directory; volumes are `volumes/<id>.raw`, with an optional `volumes/<id>.json` beside. */
  readonly root: string;
  /** The array whose volumes these files are, under the same ids. */
  readonly array: StorageArray;
}

const type = 'Local::Volume';
const RAW = '.raw';

const options = strictOptions({
  root: z.string().min(1),
  array: z.custom<StorageArray>(
    (value) => typeof value === 'object' && value !== null && 'contract' in value && value.contract === 1,
    'not a StorageArray of contract 1',
  ),
});

const schema = z
  .object({
    name: z.string().min(1),
    tags: localTags.exactOptional(),
    metadata: z.record(z.string(), z.json()).exactOptional(),
    token: z.string().exactOptional(),
  })
  .catchall(z.json());

const described = schema.extend({ size: z.int().nonnegative() });

type Volume = z.infer<typeof described>;
type Maker = (name: string, call: CallOptions) => Promise<VolumeRef>;

/** Finds volumes without their array. */
export function volumeFinder(root: string): Finder {
  const folder = recordFolder(root, 'volumes');
  return {
    type,
    async find(ids, call) {
      const found: Resource[] = [];
      for (const id of ids) {
        const volume = isId(id) ? await read(folder, id, call) : undefined;
        if (volume !== undefined) found.push(resourceOf(id, volume));
      }
      return found;
    },
  };
}

/** Protects volumes: raw files of a local array, each with a name and metadata. */
export function localVolume(given: LocalVolumeOptions): Protectable {
  const { root, array } = parseOptions('localVolume', options, given);
  const folder = recordFolder(root, 'volumes');

  const readExisting = async (id: string, call: CallOptions): Promise<Volume> => {
    const volume = await read(folder, id, call);
    if (volume === undefined) throw new FafnirError('NOT_FOUND', `${type} ${id} does not exist`);
    return volume;
  };
  const target = (): NonNullable<StorageArray['target']> => {
    if (array.target !== undefined) return array.target;
    throw new FafnirError('UNSUPPORTED', `array ${array.name} makes no volumes`);
  };
  /** Makes volumes of this size that hold the snapshot, or nothing; refuses a snapshot that cannot be one. */
  const makerOf = (size: number, from: ArraySnapshot | undefined): Maker => {
    const volumes = target();
    if (from === undefined) return (name, call) => volumes.create({ name, size }, call);
    const clone = array.clone?.bind(array);
    if (clone !== undefined && from.volume.array === array.name && from.volume.size === size) {
      return (name, call) => clone(from, name, call);
    }
    const snapshot = `a snapshot of ${from.volume.size} bytes on array ${from.volume.array}`;
    throw new FafnirError('UNSUPPORTED', `${array.name} makes no volume of ${size} bytes from ${snapshot}`);
  };

  return Object.freeze<Protectable>({
    contract: 1,
    type,
    find: volumeFinder(root).find,

    async *list(call) {
      for await (const id of folder.ids(RAW, call)) {
        const volume = await read(folder, id, call);
        if (volume !== undefined) yield resourceOf(id, volume);
      }
    },

    dependencies: (resources, call) =>
      collectDependencies(
        resources,
        [],
        async ({ id }) => {
          await readExisting(id, call);
          return [];
        },
        call,
      ),

    capture: async ({ id }, call) => describeFields(await readExisting(id, call), id),

    renames: true,
    ...(array.clone === undefined ? {} : { clones: [array.name] }),

    async create(description, { token, name, from }, call) {
      call.signal.throwIfAborted();
      const where = `description of a ${type}`;
      const original = originalId(where, description);
      const { id: _, size, ...fields } = checkFields(where, described, description);
      const make = makerOf(size, from);
      const record = { ...fields, ...(name === undefined ? {} : { name }) };
      const inUse = async (id: string): Promise<boolean> => (await folder.size(id, RAW)) !== undefined;
      // The record first: a volume without one could neither be found again nor removed by the token.
      const id = await findOrCreate({ folder, original, token, record, inUse }, call);
      const made = await make(id, call);
      if (made.id !== id) {
        throw new FafnirError('WRONG_ANSWER', `array ${array.name} named volume ${id} ${made.id}`);
      }
      // A call that comes too late, when the creation was undone meanwhile, finds no record and takes back its volume.
      if (!(await carriesToken(folder, id, token))) {
        // Where another has the id by now, so has it the volume.
        if (await isFree(folder, id)) await target().remove(made, { signal: new AbortController().signal });
        throw new FafnirError('NOT_FOUND', `${type} ${id} was removed while it was made`);
      }
      return resourceOf(id, await readExisting(id, call));
    },

    async connect({ id }, { token }, call) {
      assertCreatedBy({ type, id }, await readExisting(id, call), token);
    },

    async remove({ token }, call) {
      call.signal.throwIfAborted();
      await folder.sweep(token);
      for await (const id of createdBy(folder, token, call)) {
        // Also where there is no file: one who died while it was made may have left something on the array.
        const size = (await folder.size(id, RAW)) ?? 0;
        // The record last: until then a repeat knows whose volume it removes.
        await target().remove({ array: array.name, id, size }, call);
        await folder.remove(id);
      }
      await folder.sync();
    },

    async volumes({ id }, call) {
      const { size } = await readExisting(id, call);
      return [{ array: array.name, id, size }];
    },
  });
}

async function read(folder: RecordFolder, id: string, { signal }: CallOptions): Promise<Volume | undefined> {
  signal.throwIfAborted();
  const size = await folder.size(id, RAW);
  if (size === undefined) return undefined;
  const fields = (await readFields(folder, id, schema)) ?? { name: id };
  return { ...fields, size };
}

const resourceOf = (id: string, volume: Volume): Resource => ({
  type,
  id,
  ...labelsOf(volume),
  attributes: { size: volume.size },
});
