import * as z from 'zod';
import { readAll, readOne } from './cloud.ts';
import { groupBy, type Item, type Kind, tagsOf } from './kind.ts';
import { NETWORKS } from './network.ts';
import { isRouterInterface, PORTS } from './port.ts';

const texts = z.array(z.string()).default([]);
const address = z.object({ subnet_id: z.string(), ip_address: z.string() });
const gateway = z
  .object({
    network_id: z.string(),
    enable_snat: z.boolean().optional(),
    external_fixed_ips: z.array(address).default([]),
  })
  .nullable();
const ITEM = z.object({
  id: z.string(),
  name: z.string(),
  project_id: z.string(),
  status: z.string(),
  external_gateway_info: gateway,
  tags: texts,
});
const DESCRIPTION = z.object({
  name: z.string(),
  description: z.string().default(''),
  admin_state_up: z.boolean(),
  external_gateway_info: gateway,
  routes: z.array(z.object({ destination: z.string(), nexthop: z.string() })).default([]),
  distributed: z.boolean().optional(),
  ha: z.boolean().optional(),
  availability_zone_hints: texts,
  tags: texts,
});
const INTERFACE = z.object({
  device_owner: z.string(),
  network_id: z.string(),
  fixed_ips: z.array(address),
});

/** A router as Neutron lists it. */
export type RouterItem = Item & {
  readonly name: string;
  readonly project_id: string;
  readonly status: string;
  readonly external_gateway_info: { readonly network_id: string } | null;
  readonly tags: readonly string[];
};

/** Routers of Neutron, with the ports by which they are joined to networks. */
export const ROUTERS: Kind<RouterItem> = {
  type: 'OS::Neutron::Router',
  read: (cloud, call) =>
    cloud.networks.list({ path: ['routers'], collection: 'routers', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ name, status, external_gateway_info, tags }) => ({
    name,
    tags: tagsOf(tags),
    attributes: { status, external: external_gateway_info !== null },
  }),
  async links(look) {
    const [networks, ports] = [await look(NETWORKS), await look(PORTS)];
    const interfaces = groupBy(ports.values(), (port) =>
      isRouterInterface(port) ? port.device_id : undefined,
    );
    return ({ id, external_gateway_info }) => [
      ...(external_gateway_info === null ? [] : [networks.target(external_gateway_info.network_id)]),
      ...(interfaces.get(id) ?? []).map(({ network_id }) => networks.target(network_id)),
    ];
  },
  async capture(id, cloud, call) {
    const router = await readOne(cloud.networks, ['routers', id], 'router', DESCRIPTION, call);
    const place = { path: ['ports'], query: { device_id: id }, collection: 'ports' };
    const ports = await readAll(cloud.networks, place, INTERFACE, call);
    const interfaces = ports
      .filter(isRouterInterface)
      .map(({ network_id, fixed_ips }) => ({ network_id, fixed_ips }));
    return { ...router, interfaces };
  },
};
