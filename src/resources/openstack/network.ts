import * as z from 'zod';
import { readAll, readOne } from './cloud.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';

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
const DESCRIPTION = z.object({
  name: z.string(),
  description: z.string().default(''),
  admin_state_up: z.boolean(),
  shared: z.boolean().default(false),
  'router:external': z.boolean().default(false),
  mtu: z.int().nullish(),
  port_security_enabled: z.boolean().optional(),
  dns_domain: z.string().nullish(),
  availability_zone_hints: texts,
  tags: texts,
});
const SUBNET = z.object({
  // Ports and routers name it.
  id: z.string(),
  name: z.string(),
  description: z.string().default(''),
  ip_version: z.int(),
  cidr: z.string(),
  gateway_ip: z.string().nullable(),
  enable_dhcp: z.boolean(),
  allocation_pools: z.array(z.object({ start: z.string(), end: z.string() })),
  dns_nameservers: texts,
  host_routes: z.array(z.object({ destination: z.string(), nexthop: z.string() })).default([]),
  ipv6_address_mode: z.string().nullish(),
  ipv6_ra_mode: z.string().nullish(),
  service_types: texts,
  tags: texts,
});

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
  type: 'OS::Neutron::Network',
  read: (cloud, call) =>
    cloud.networks.list({ path: ['networks'], collection: 'networks', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ name, status, shared, tags, 'router:external': external }) => ({
    name,
    tags: tagsOf(tags),
    attributes: { status, shared, external },
  }),
  async capture(id, cloud, call) {
    const network = await readOne(cloud.networks, ['networks', id], 'network', DESCRIPTION, call);
    const place = { path: ['subnets'], query: { network_id: id }, collection: 'subnets' };
    return { ...network, subnets: await readAll(cloud.networks, place, SUBNET, call) };
  },
};
