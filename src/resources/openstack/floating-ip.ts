import * as z from 'zod';
import { readOne } from './cloud.ts';
import {
  FLOATING_IP_DESCRIPTION,
  FLOATING_IP_RECIPE,
  type FloatingIpDescription,
} from './floating-ip-making.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf } from './making.ts';
import { NETWORKS } from './network.ts';
import { PORTS } from './port.ts';
import { ROUTERS } from './router.ts';

const ITEM = FLOATING_IP_DESCRIPTION.and(
  z.object({ id: z.string(), project_id: z.string(), status: z.string() }),
);
const TYPE = 'OS::Neutron::FloatingIP';

/** A floating address as Neutron lists it. */
export type FloatingIpItem = Item &
  FloatingIpDescription & { readonly project_id: string; readonly status: string };

/** Floating addresses of Neutron, with the port that each leads to. */
export const FLOATING_IPS: Kind<FloatingIpItem> = {
  type: TYPE,
  maker: makerOf(TYPE, FLOATING_IP_RECIPE),
  read: (cloud, call) =>
    cloud.networks.list({ path: ['floatingips'], collection: 'floatingips', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ floating_ip_address, status, tags }) => ({
    name: floating_ip_address,
    tags: tagsOf(tags),
    attributes: { status, address: floating_ip_address },
  }),
  async links(look) {
    const [networks, ports, routers] = [await look(NETWORKS), await look(PORTS), await look(ROUTERS)];
    return ({ floating_network_id, port_id, router_id }) => [
      networks.target(floating_network_id),
      ...(typeof port_id === 'string' ? [ports.target(port_id)] : []),
      ...(typeof router_id === 'string' ? [routers.target(router_id)] : []),
    ];
  },
  capture: (id, cloud, call) =>
    readOne(cloud.networks, ['floatingips', id], 'floatingip', FLOATING_IP_DESCRIPTION, call),
};
