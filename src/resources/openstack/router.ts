import * as z from 'zod';
import { readOne } from './cloud.ts';
import { groupBy, type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf } from './making.ts';
import { NETWORKS } from './network.ts';
import { PORTS } from './port.ts';
import { isRouterInterface, ROUTER_FIELDS, readInterfaces } from './router-description.ts';
import { ROUTER_RECIPE } from './router-making.ts';

const texts = z.array(z.string()).default([]);
const ITEM = z.object({
  id: z.string(),
  name: z.string(),
  project_id: z.string(),
  status: z.string(),
  external_gateway_info: z.object({ network_id: z.string() }).nullable(),
  tags: texts,
});
const TYPE = 'OS::Neutron::Router';

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
  type: TYPE,
  maker: makerOf(TYPE, ROUTER_RECIPE),
  read: (cloud, call) => cloud.networks.list({ path: ['routers'], collection: 'routers', item: ITEM }, call),
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
    const router = await readOne(cloud.networks, ['routers', id], 'router', ROUTER_FIELDS, call);
    const interfaces = (await readInterfaces(id, cloud, call)).map(({ network_id, fixed_ips }) => ({
      network_id,
      fixed_ips,
    }));
    return { ...router, interfaces };
  },
};
