import * as z from 'zod';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll } from './cloud.ts';
import { type Making, type Recipe, removeFrom } from './making.ts';

const MADE = z.object({ id: z.string() });
const CARRIER = z.object({
  id: z.string(),
  description: z.string().default(''),
  tags: z.array(z.string()).default([]),
});

/** What all that Neutron makes has; floating addresses have no name. */
export type NeutronDescription = {
  readonly name?: string;
  readonly description: string;
  readonly tags: readonly string[];
};

/** How resources of Neutron are made. */
export interface NeutronRecipe<Description extends NeutronDescription>
  extends Pick<Recipe<Description>, 'joined' | 'maps' | 'nameless' | 'standIn' | 'gaps' | 'join' | 'probe'> {
  /** What a description must look like. */
  readonly schema: z.ZodType<Description>;
  /** Such as `networks`. */
  readonly collection: string;
  /** Such as `network`. */
  readonly member: string;
  /**
   * What it is made with, beside its name, the best first; the next one is for credentials whose role does not admit it.
   */
  bodies(making: Making<Description>): readonly JsonObject[] | Promise<readonly JsonObject[]>;
  /** What is to be in it before it is whole; may be repeated. */
  fill?(id: string, making: Making<Description>): Promise<void>;
  /** What must go before it can. */
  empty?(id: string, cloud: Cloud, call: CallOptions): Promise<void>;
}

/**
 * Neutron gives tags to what exists alone, so the description carries the token until a tag does: whatever has that
 * description is not whole yet.
 */
export function neutronRecipe<Description extends NeutronDescription>({
  collection,
  member,
  bodies,
  fill,
  empty,
  ...roles
}: NeutronRecipe<Description>): Recipe<Description> {
  const carriers = async (mark: string, cloud: Cloud, call: CallOptions) => {
    const by = async (query: Record<string, string>) =>
      readAll(cloud.networks, { path: [collection], collection: `${member}s`, query }, CARRIER, call);
    const found = [...(await by({ tags: mark })), ...(await by({ description: mark }))];
    // What is found may be removed: a service that has not heard of a filter lists everything.
    return found.filter(({ description, tags }) => description === mark || tags.includes(mark));
  };
  return {
    ...roles,

    async find(token, cloud, call) {
      const found = await carriers(markOf(token), cloud, call);
      return [...new Set(found.map(({ id }) => id))].sort();
    },

    async make(making) {
      const { description, token, cloud, call } = making;
      const { name } = description;
      const answer = z.object({ [member]: MADE });
      return await firstAdmitted(await bodies(making), async (body) => {
        const whole = { ...(name !== undefined && { name }), ...body, description: markOf(token) };
        const request = { method: 'POST', path: [collection], body: { [member]: whole }, answer } as const;
        return (await cloud.networks.request(request, call))[member]?.id ?? '';
      });
    },

    async finish(id, making, isNew) {
      const { description, token, cloud, call } = making;
      const mark = markOf(token);
      const found = isNew ? [] : await carriers(mark, cloud, call);
      if (found.some((one) => one.id === id && one.description !== mark)) return;
      await fill?.(id, making);
      await setTags(cloud, [collection, id], [...ownTags(description.tags), mark], call);
      await cloud.networks.request(
        {
          method: 'PUT',
          path: [collection, id],
          body: { [member]: { description: description.description } },
          answer: z.unknown(),
        },
        call,
      );
    },

    async remove(id, cloud, call) {
      await empty?.(id, cloud, call);
      await removeFrom(cloud.networks, [collection, id], call);
    },
  };
}

/** Works with the first of the bodies that the role of the credentials admits. */
export async function firstAdmitted<Result>(
  bodies: readonly JsonObject[],
  work: (body: JsonObject) => Promise<Result>,
): Promise<Result> {
  let refused: unknown;
  for (const body of bodies) {
    try {
      return await work(body);
    } catch (error) {
      if (!FafnirError.is(error, 'ACCESS_DENIED')) throw error;
      refused = error;
    }
  }
  throw refused;
}

/** Gives a resource of Neutron these tags and no others. */
export async function setTags(
  cloud: Cloud,
  path: readonly string[],
  tags: readonly string[],
  call: CallOptions,
): Promise<void> {
  await cloud.networks.request(
    { method: 'PUT', path: [...path, 'tags'], body: { tags: [...new Set(tags)] }, answer: z.unknown() },
    call,
  );
}

/** What carries a token: at most 60 characters, as a tag. */
export const markOf = (token: string): string => `fafnir-${token}`;

const MARK = /^fafnir-[a-f0-9]{32}$/;

/** Tags without those of earlier creations: what carries a token may be removed by it. */
function ownTags(tags: readonly string[]): readonly string[] {
  return tags.filter((tag) => !MARK.test(tag));
}
