import * as z from 'zod';
import { readOne } from './cloud.ts';
import type { Item, Kind } from './kind.ts';
import { makerOf, type Recipe, removeFrom } from './making.ts';
import { findNamed, nameWith } from './token-names.ts';

// Nova knows key pairs by their names, which are unique for a user.
const ITEM = z
  .object({
    keypair: z.object({
      name: z.string(),
      type: z.string().optional(),
      public_key: z.string().default(''),
      fingerprint: z.string().optional(),
    }),
  })
  .transform(({ keypair }) => ({ ...keypair, id: keypair.name }));
const TYPE = 'OS::Nova::KeyPair';

type Description = {
  readonly name: string;
  readonly type?: string | undefined;
  readonly public_key: string;
  readonly fingerprint?: string | undefined;
};

const DESCRIPTION: z.ZodType<Description> = z.object({
  name: z.string(),
  type: z.string().optional(),
  public_key: z.string(),
  fingerprint: z.string().optional(),
});

const RECIPE: Recipe<Description> = {
  schema: DESCRIPTION,
  // A pair of the user's that has the name and the key: no second one is made, and this one is never removed.
  async standIn({ description, cloud, call }) {
    const there = (await cloud.list(KEY_PAIRS, call)).get(description.name);
    return there !== undefined && isSame(there, description) ? there.id : undefined;
  },
  async gaps(cloud, call) {
    const listed = await cloud.list(KEY_PAIRS, call);
    return ({ description }) => {
      const there = listed.get(description.name);
      if (there === undefined || isSame(there, description)) return undefined;
      return `the user has a key pair ${there.name} with another public key: map the key pair to that or another one`;
    };
  },
  find: (token, cloud, call) => findNamed(KEY_PAIRS, token, cloud, call),
  async make({ description, token, cloud, call }) {
    const { name, type, public_key } = description;
    const keypair = { name: nameWith(name, token), public_key, ...(type !== undefined && { type }) };
    const answer = z.object({ keypair: z.object({ name: z.string() }) });
    const request = { method: 'POST', path: ['os-keypairs'], body: { keypair }, answer } as const;
    return (await cloud.compute.request(request, call)).keypair.name;
  },
  remove: (id, cloud, call) => removeFrom(cloud.compute, ['os-keypairs', id], call),
};

/** A key pair as Nova lists it. */
export type KeyPairItem = Item & {
  readonly name: string;
  readonly type?: string | undefined;
  readonly public_key: string;
  readonly fingerprint?: string | undefined;
};

const isSame = (one: Pick<Description, 'public_key'>, other: Pick<Description, 'public_key'>): boolean =>
  one.public_key.trim() === other.public_key.trim();

/** Key pairs of the user of the credentials; their public halves, as Nova has no other. */
export const KEY_PAIRS: Kind<KeyPairItem> = {
  type: TYPE,
  maker: makerOf(TYPE, RECIPE),
  read: (cloud, call) =>
    cloud.compute.list({ path: ['os-keypairs'], collection: 'keypairs', item: ITEM }, call),
  isOwn: () => true,
  labels: ({ name, type, fingerprint }) => ({
    name,
    attributes: { type: type ?? null, fingerprint: fingerprint ?? null },
  }),
  capture: (id, cloud, call) => readOne(cloud.compute, ['os-keypairs', id], 'keypair', DESCRIPTION, call),
};
