import * as z from 'zod';
import { readOne } from './cloud.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';
import { NETWORKS } from './network.ts';
import { PORTS } from './port.ts';
import { ROUTERS } from './router.ts';

const DESCRIPTION = z.object({
  description: z.string().default(''),
  floating_network_id: z.string(),
  floating_ip_address: z.string(),
  fixed_ip_address: z.string().nullish(),
  port_id: z.string().nullish(),
  router_id: z.string().nullish(),
  dns_name: z.string().nullish(),
  dns_domain: z.string().nullish(),
  tags: z.array(z.string()).default([]),
});
const ITEM = DESCRIPTION.extend({ id: z.string(), project_id: z.string(), status: z.string() });

/** A floating address as Neutron lists it. */
export type FloatingIpItem = Item & {
  readonly project_id: string;
  readonly status: string;
  readonly floating_network_id: string;
  readonly floating_ip_address: string;
  readonly port_id?: string | null | undefined;
  readonly router_id?: string | null | undefined;
  readonly tags: readonly string[];
};

/** Floating addresses of Neutron, with the port that each leads to. */
export const FLOATING_IPS: Kind<FloatingIpItem> = {
  type: 'OS::Neutron::FloatingIP',
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
  capture: (id, cloud, call) => readOne(cloud.networks, ['floatingips', id], 'floatingip', DESCRIPTION, call),
};
