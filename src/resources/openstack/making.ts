import * as z from 'zod';
import type { OpenStackService } from '../../clients/openstack/index.ts';
import type {
  CallOptions,
  ConnectRequest,
  CreateRequest,
  Gap,
  GapRequest,
  JsonObject,
  Names,
  ResourceKey,
  Surroundings,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Cloud } from './cloud.ts';

/** What is made, and where. */
export interface Making<Description> extends Pick<CreateRequest, 'token'> {
  /** As captured, or with the name that the caller wants. */
  readonly description: Description;
  /** Empty in creations of a kind that is not `joined`. */
  readonly surroundings: Surroundings;
  /** Of the kinds that the recipe maps; itself any other name. */
  readonly names: Names;
  /** Where. */
  readonly cloud: Cloud;
  /** Of the call. */
  readonly call: CallOptions;
}

/** What would be made. */
export interface Wanted<Description> extends Pick<Making<Description>, 'names'>, Pick<GapRequest, 'address'> {
  /** As captured. */
  readonly description: Description;
}

type Named = { readonly name?: string | null | undefined };

/** How resources of a kind are made again. */
export interface Recipe<Description extends Named> {
  /** What a description must look like. */
  readonly schema: z.ZodType<Description>;
  /** True as in Protectable. */
  readonly joined?: true;
  /** As in Protectable. */
  readonly maps?: readonly string[];
  /** True where no names can be given. */
  readonly nameless?: true;
  /**
   * What stands for one that is not for us to make, such as a network of others, `MAPPING_GAP` where there is none; undefined
   * for one that is to be made.
   */
  standIn?(making: Making<Description>): Promise<string | undefined>;
  /** Tells why one cannot be made, undefined where it can; what that takes is looked up once for all. */
  gaps?(cloud: Cloud, call: CallOptions): Promise<(wanted: Wanted<Description>) => string | undefined>;
  /** Ids of all that carry the token, whole or not. */
  find(token: string, cloud: Cloud, call: CallOptions): Promise<readonly string[]>;
  /** Makes one that carries the token from its first moment on, and gives its id. */
  make(making: Making<Description>): Promise<string>;
  /** Makes whole what carries the token; may be repeated. What was made a moment ago `isNew`. */
  finish?(id: string, making: Making<Description>, isNew: boolean): Promise<void>;
  /** Joins one that was made to what it depends on; may be repeated. For what nothing else ever stands. */
  join?(id: string, making: Making<Description>): Promise<void>;
  /** As in Protectable: waits until one that was made serves as the original did. */
  probe?(id: string, making: Making<Description>): Promise<void>;
  /** Removes one; one that is gone is success. */
  remove(id: string, cloud: Cloud, call: CallOptions): Promise<void>;
}

/** What a Protectable makes of a recipe. */
export interface Maker extends Pick<Recipe<Named>, 'joined' | 'maps' | 'nameless'> {
  /** As in Protectable; gives the id. */
  create(description: JsonObject, request: CreateRequest, cloud: Cloud, call: CallOptions): Promise<string>;
  /** As in Protectable. */
  connect(id: string, request: ConnectRequest, cloud: Cloud, call: CallOptions): Promise<void>;
  /** As in Protectable. */
  probe?(id: string, request: ConnectRequest, cloud: Cloud, call: CallOptions): Promise<void>;
  /** As in Protectable. */
  remove(token: string, cloud: Cloud, call: CallOptions): Promise<void>;
  /** As in Protectable. */
  gaps?(requests: readonly GapRequest[], cloud: Cloud, call: CallOptions): Promise<readonly Gap[]>;
}

const TOKEN = /^[a-f0-9]{32}$/;
const LONGEST_REASON = 1_000;

const ALONE: Surroundings = {
  resolve({ type, id }: ResourceKey): never {
    throw new FafnirError('NOT_FOUND', `nothing surrounds this creation, and no ${type} ${id}`);
  },
  address: (original) => original,
};

const SAME: Names = { of: (_kind, original) => original };

// Methods that can be taken out of their object.
const apart = (surroundings: Surroundings): Surroundings => ({
  resolve: (original) => surroundings.resolve(original),
  address: (original) => surroundings.address(original),
});

/** The maker of a type by its recipe. */
export function makerOf<Description extends Named>(type: string, recipe: Recipe<Description>): Maker {
  const read = (value: JsonObject): Description => {
    const { success, data, error } = recipe.schema.safeParse(value);
    if (success) return data;
    throw new FafnirError('CORRUPT', `description of a ${type}: ${z.prettifyError(error)}`, { cause: error });
  };
  const find = (token: string, cloud: Cloud, call: CallOptions): Promise<readonly string[]> => {
    call.signal.throwIfAborted();
    if (!TOKEN.test(token)) throw new FafnirError('INVALID_ID', 'a token is 32 characters of a-f 0-9');
    return recipe.find(token, cloud, call);
  };
  const { joined, maps, nameless, gaps, probe } = recipe;
  const connecting = (request: ConnectRequest, cloud: Cloud, call: CallOptions): Making<Description> => {
    const { token, names = SAME } = request;
    const description = read(request.description);
    return { description, token, names, surroundings: apart(request), cloud, call };
  };
  return {
    ...(joined && { joined }),
    ...(maps && { maps }),
    ...(nameless && { nameless }),

    async create(captured, { token, name, names = SAME, ...request }, cloud, call) {
      const described = read(captured);
      const surroundings = apart(request.surroundings ?? ALONE);
      const found = await find(token, cloud, call);
      const standIn = await recipe.standIn?.({
        description: described,
        token,
        names,
        surroundings,
        cloud,
        call,
      });
      if (standIn !== undefined) return standIn;
      const description = name === undefined ? described : { ...described, name };
      const making = { description, token, names, surroundings, cloud, call };
      const id = found[0] ?? (await makeOrFind(recipe, making));
      await recipe.finish?.(id, making, found.length === 0);
      return id;
    },

    async connect(id, request, cloud, call) {
      const making = connecting(request, cloud, call);
      const found = await find(request.token, cloud, call);
      if (recipe.join !== undefined && !found.includes(id)) {
        throw new FafnirError('NOT_FOUND', `${type} ${id} does not carry the token of this creation`);
      }
      // What a worker that died had asked for may have come after it was looked for.
      for (const twin of found.filter((one) => one !== id)) await recipe.remove(twin, cloud, call);
      await recipe.join?.(id, making);
    },

    async remove(token, cloud, call) {
      for (const id of await find(token, cloud, call)) await recipe.remove(id, cloud, call);
    },

    ...(probe && {
      async probe(id, request, cloud, call) {
        call.signal.throwIfAborted();
        await probe.call(recipe, id, connecting(request, cloud, call));
      },
    }),

    ...(gaps && {
      async gaps(requests, cloud, call) {
        call.signal.throwIfAborted();
        const wanted = requests.map((request) => ({
          names: SAME,
          ...request,
          address: (original: string) => request.address(original),
          description: read(request.description),
        }));
        const gapOf = await gaps.call(recipe, cloud, call);
        return wanted.flatMap((one, at) => {
          const reason = gapOf(one)?.slice(0, LONGEST_REASON);
          return reason === undefined ? [] : [{ at, reason }];
        });
      },
    }),
  };
}

/** What is there already may be in the way of a second one: a service was slower than somebody waited for its answer, or lived. */
async function makeOrFind<Description extends Named>(
  recipe: Recipe<Description>,
  making: Making<Description>,
): Promise<string> {
  try {
    return await recipe.make(making);
  } catch (error) {
    const [late] = await recipe.find(making.token, making.cloud, making.call);
    if (late === undefined) throw error;
    return late;
  }
}

/** The maker of a type of which nothing is ever made: what is there stands for it. */
export function standInMaker<Description extends Named>(
  type: string,
  recipe: Required<Pick<Recipe<Description>, 'schema' | 'standIn'>> & Pick<Recipe<Description>, 'gaps'>,
): Maker {
  return makerOf(type, {
    ...recipe,
    nameless: true,
    find: async () => [],
    async make() {
      throw new FafnirError('UNSUPPORTED', `a ${type} is never made`);
    },
    remove: () => Promise.resolve(),
  });
}

/** Work that is success where the resource is gone. */
export async function unlessGone(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
  }
}

/** Removes a resource of a service; one that is gone is success. */
export async function removeFrom(
  service: OpenStackService,
  path: readonly string[],
  call: CallOptions,
): Promise<void> {
  await unlessGone(() => service.request({ method: 'DELETE', path, answer: z.unknown() }, call));
}
