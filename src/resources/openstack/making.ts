import * as z from 'zod';
import type { OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions, ConnectRequest, CreateRequest, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Cloud } from './cloud.ts';

/** What is made, and where. */
export interface Making<Description> extends Pick<CreateRequest, 'token'> {
  /** As captured, or with the name that the caller wants. */
  readonly description: Description;
  /** Where. */
  readonly cloud: Cloud;
  /** Of the call. */
  readonly call: CallOptions;
}

/** How resources of a kind are made again. */
export interface Recipe<Description extends { readonly name?: string | null | undefined }> {
  /** What a description must look like. */
  readonly schema: z.ZodType<Description>;
  /** Ids of all that carry the token, whole or not. */
  find(token: string, cloud: Cloud, call: CallOptions): Promise<readonly string[]>;
  /** Makes one that carries the token from its first moment on, and gives its id. */
  make(making: Making<Description>): Promise<string>;
  /** Makes whole what carries the token; may be repeated. */
  finish?(id: string, making: Making<Description>): Promise<void>;
  /** Joins it to what it depends on; may be repeated. */
  join?(id: string, making: Making<Description> & Pick<ConnectRequest, 'resolve' | 'address'>): Promise<void>;
  /** Removes one; one that is gone is success. */
  remove(id: string, cloud: Cloud, call: CallOptions): Promise<void>;
}

/** What a Protectable makes of a recipe. */
export interface Maker {
  /** As in Protectable; gives the id. */
  create(description: JsonObject, request: CreateRequest, cloud: Cloud, call: CallOptions): Promise<string>;
  /** As in Protectable. */
  connect(id: string, request: ConnectRequest, cloud: Cloud, call: CallOptions): Promise<void>;
  /** As in Protectable. */
  remove(token: string, cloud: Cloud, call: CallOptions): Promise<void>;
}

const TOKEN = /^[a-f0-9]{32}$/;

/** The maker of a type by its recipe. */
export function makerOf<Description extends { readonly name?: string | null | undefined }>(
  type: string,
  recipe: Recipe<Description>,
): Maker {
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
  return {
    async create(captured, { token, name }, cloud, call) {
      const described = read(captured);
      const description = name === undefined ? described : { ...described, name };
      const making = { description, token, cloud, call };
      const [found] = await find(token, cloud, call);
      const id = found ?? (await recipe.make(making));
      await recipe.finish?.(id, making);
      return id;
    },

    async connect(id, { token, description, resolve, address }, cloud, call) {
      const described = read(description);
      if (!(await find(token, cloud, call)).includes(id)) {
        throw new FafnirError('NOT_FOUND', `${type} ${id} does not carry the token of this creation`);
      }
      await recipe.join?.(id, {
        description: described,
        token,
        cloud,
        call,
        resolve: (original) => resolve(original),
        address: (original) => address(original),
      });
    },

    async remove(token, cloud, call) {
      for (const id of await find(token, cloud, call)) await recipe.remove(id, cloud, call);
    },
  };
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
