import type {
  CallOptions,
  ConnectRequest,
  JsonObject,
  Protectable,
  Quiescing,
  Resource,
  ResourceKey,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isId } from '../../core/identity.ts';
import { assertCreatedBy, createdBy, findOrCreate } from './creation.ts';
import type { Draft } from './draft.ts';
import {
  type CommonFields,
  checkFields,
  describeFields,
  type FieldsSchema,
  labelsOf,
  originalId,
  readFields,
} from './record.ts';
import { recordFolder } from './record-folder.ts';
import { collectDependencies, type Finder, findReferenced } from './references.ts';

/** What joins a created resource to others. */
export interface Joining extends Pick<ConnectRequest, 'address'> {
  /** What now stands for a resource that the original depended on, and exists; undefined where that was left out. */
  resolve(original: ResourceKey): Promise<Resource | undefined>;
}

/** A resource type that is nothing but a record. */
export interface RecordType<Fields extends CommonFields> {
  /** Such as `Local::Server`. */
  readonly type: string;
  /** Below the root. */
  readonly folder: string;
  /** What a record must look like. */
  readonly schema: FieldsSchema<Fields>;
  /** True as in Protectable. */
  readonly groupsVolumes?: true;
  /** The role, where resources of the type can be paused. */
  readonly quiescing?: Quiescing;
  /** Finders of the other types that it may depend on. */
  readonly targets: readonly Finder[];
  /** The fields that refer to others, referring to none. */
  readonly unconnected: JsonObject;
  /** Facts for selection and display. */
  attributes(fields: Fields): JsonObject;
  /** What a record refers to. */
  references(fields: Fields): readonly ResourceKey[];
  /** The fields that refer to others, referring to what now stands for them. */
  connected(fields: Fields, joining: Joining): Promise<JsonObject>;
}

/** The Protectable of such a type, for the system at `root`. */
export function recordProtectable<Fields extends CommonFields>(
  root: string,
  definition: RecordType<Fields>,
): Protectable {
  const { type, schema, groupsVolumes, quiescing } = definition;
  const folder = recordFolder(root, definition.folder);

  const read = async (id: string, { signal }: CallOptions): Promise<Fields | undefined> => {
    signal.throwIfAborted();
    return await readFields(folder, id, schema);
  };
  const readExisting = async (id: string, call: CallOptions): Promise<Fields> => {
    const fields = await read(id, call);
    if (fields === undefined) throw new FafnirError('NOT_FOUND', `${type} ${id} does not exist`);
    return fields;
  };
  const resourceOf = (id: string, fields: Fields): Resource => ({
    type,
    id,
    ...labelsOf(fields),
    attributes: definition.attributes(fields),
  });

  const protectable: Protectable = {
    contract: 1,
    type,
    ...(groupsVolumes === undefined ? {} : { groupsVolumes }),
    ...(quiescing === undefined ? {} : { quiescing }),

    async *list(call) {
      for await (const id of folder.ids('.json', call)) {
        const fields = await read(id, call);
        if (fields !== undefined) yield resourceOf(id, fields);
      }
    },

    async find(ids, call) {
      const found: Resource[] = [];
      for (const id of ids) {
        const fields = isId(id) ? await read(id, call) : undefined;
        if (fields !== undefined) found.push(resourceOf(id, fields));
      }
      return found;
    },

    dependencies: (resources, call) =>
      collectDependencies(
        resources,
        finders,
        async ({ id }) => definition.references(await readExisting(id, call)),
        call,
      ),

    capture: async ({ id }, call) => describeFields(await readExisting(id, call), id),

    renames: true,

    async create(description, { token, name }, call) {
      call.signal.throwIfAborted();
      const where = `description of a ${type}`;
      const original = originalId(where, description);
      const { id: _, ...fields } = checkFields(where, schema, description);
      const record = { ...fields, ...definition.unconnected, ...(name === undefined ? {} : { name }) };
      const id = await findOrCreate({ folder, original, token, record }, call);
      return resourceOf(id, await readExisting(id, call));
    },

    async connect({ id }, request, call) {
      const readOwn = async (): Promise<Fields> => {
        const own = await readExisting(id, call);
        assertCreatedBy({ type, id }, own, request.token);
        return own;
      };
      const current = await readOwn();
      const fields = checkFields(`description of ${type} ${id}`, schema, request.description);
      const connected = await definition.connected(fields, {
        resolve: async (original) => {
          const standIn = request.resolve(original);
          return standIn && findReferenced(finders, standIn, { type, id }, call);
        },
        address: (original) => request.address(original),
      });
      const place = async (draft: Draft): Promise<void> => {
        // It may have been removed since, and the id be another's.
        await readOwn();
        await draft.replace(id);
      };
      await folder.write(request.token, { ...current, ...connected }, place, call);
    },

    async remove({ token }, call) {
      call.signal.throwIfAborted();
      await folder.sweep(token);
      for await (const id of createdBy(folder, token, call)) await folder.remove(id);
      await folder.sync();
    },
  };
  const finders: readonly Finder[] = [protectable, ...definition.targets];
  return Object.freeze(protectable);
}
