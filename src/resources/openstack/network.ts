import * as z from 'zod';
import { readOne } from './cloud.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf } from './making.ts';
import { NETWORK_FIELDS, readSubnets } from './network-description.ts';
import { NETWORK_RECIPE } from './network-making.ts';

const texts = z.array(z.string()).default([]);
const ITEM = z.object({
  id: z.string(),
  name: z.string(),
  project_id: z.string(),
  status: z.string(),
  shared: z.boolean().default(false),
  'router:external': z.boolean().default(false),
  tags: texts,
});
const TYPE = 'OS::Neutron::Network';

/** A network as Neutron lists it. */
export type NetworkItem = Item & {
  readonly name: string;
  readonly project_id: string;
  readonly status: string;
  readonly shared: boolean;
  readonly 'router:external': boolean;
  readonly tags: readonly string[];
};

/** Networks of Neutron, each with its subnets. Those of other projects are seen where they are shared or external. */
export const NETWORKS: Kind<NetworkItem> = {
  type: TYPE,
  read: (cloud, call) =>
    cloud.networks.list({ path: ['networks'], collection: 'networks', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ name, status, shared, tags, 'router:external': external }) => ({
    name,
    tags: tagsOf(tags),
    attributes: { status, shared, external },
  }),
  maker: makerOf(TYPE, NETWORK_RECIPE),
  async capture(id, cloud, call) {
    const network = await readOne(cloud.networks, ['networks', id], 'network', NETWORK_FIELDS, call);
    return { ...network, subnets: await readSubnets(id, cloud, call) };
  },
};
