import * as z from 'zod';
import { readOne } from './cloud.ts';
import type { Item, Kind } from './kind.ts';

// Nova knows key pairs by their names, which are unique for a user.
const ITEM = z
  .object({
    keypair: z.object({ name: z.string(), type: z.string().optional(), fingerprint: z.string().optional() }),
  })
  .transform(({ keypair }) => ({ ...keypair, id: keypair.name }));
const DESCRIPTION = z.object({
  name: z.string(),
  type: z.string().optional(),
  public_key: z.string(),
  fingerprint: z.string().optional(),
});

/** A key pair as Nova lists it. */
export type KeyPairItem = Item & {
  readonly name: string;
  readonly type?: string | undefined;
  readonly fingerprint?: string | undefined;
};

/** Key pairs of the user of the credentials; their public halves, as Nova has no other. */
export const KEY_PAIRS: Kind<KeyPairItem> = {
  type: 'OS::Nova::KeyPair',
  read: (cloud, call) =>
    cloud.compute.list({ path: ['os-keypairs'], collection: 'keypairs', item: ITEM }, call),
  isOwn: () => true,
  labels: ({ name, type, fingerprint }) => ({
    name,
    attributes: { type: type ?? null, fingerprint: fingerprint ?? null },
  }),
  capture: (id, cloud, call) => readOne(cloud.compute, ['os-keypairs', id], 'keypair', DESCRIPTION, call),
};
