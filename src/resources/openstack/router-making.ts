import * as z from 'zod';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isIn } from './addresses.ts';
import type { Cloud } from './cloud.ts';
import { type Recipe, unlessGone } from './making.ts';
import { readSubnets, type SubnetDescription } from './network-description.ts';
import { neutronRecipe } from './neutron-making.ts';
import {
  ROUTER_DESCRIPTION,
  type RouterDescription,
  type RouterInterface,
  readInterfaces,
} from './router-description.ts';

const NETWORK = 'OS::Neutron::Network';

/** Routers are made alone, and joined to networks by the addresses that they had there. */
export const ROUTER_RECIPE: Recipe<RouterDescription> = neutronRecipe({
  schema: ROUTER_DESCRIPTION,
  collection: 'routers',
  member: 'router',
  // Whether it is distributed or highly available is for administrators to say.
  bodies: ({ description: { admin_state_up, availability_zone_hints: hints } }) => [
    { admin_state_up, ...(hints.length > 0 && { availability_zone_hints: hints }) },
  ],

  async join(router, { description, cloud, call, surroundings: { resolve, address } }) {
    const { external_gateway_info: gateway, interfaces, routes } = description;
    const networkOf = (id: string): string | undefined => resolve({ type: NETWORK, id })?.id;
    const joined = new Set(
      (await readInterfaces(router, cloud, call)).flatMap(({ fixed_ips }) =>
        fixed_ips.map((fixed) => fixed.subnet_id),
      ),
    );
    for (const one of interfaces) {
      const network = networkOf(one.network_id);
      if (network === undefined) continue;
      for (const subnet of await subnetsFor(one, network, address, cloud, call)) {
        if (joined.has(subnet.id)) continue;
        await put(cloud, [router, 'add_router_interface'], { subnet_id: subnet.id }, call);
      }
    }
    const outside = gateway === null ? undefined : networkOf(gateway.network_id);
    const update = {
      ...(outside !== undefined && { external_gateway_info: { network_id: outside } }),
      routes: routes.map(({ destination, nexthop }) => ({ destination, nexthop: address(nexthop) })),
    };
    await put(cloud, [router], { router: update }, call);
  },

  async empty(router, cloud, call) {
    // A router that has routes or interfaces stays.
    await unlessGone(() => put(cloud, [router], { router: { routes: [] } }, call));
    for (const { id } of await readInterfaces(router, cloud, call)) {
      await unlessGone(() => put(cloud, [router, 'remove_router_interface'], { port_id: id }, call));
    }
  },
});

/** The subnets of a network that an interface is joined to, which must be its gateway there. */
async function subnetsFor(
  { fixed_ips }: RouterInterface,
  network: string,
  address: (original: string) => string,
  cloud: Cloud,
  call: CallOptions,
): Promise<readonly SubnetDescription[]> {
  const subnets = await readSubnets(network, cloud, call);
  return fixed_ips.map(({ ip_address }) => {
    const wanted = address(ip_address);
    const subnet = subnets.find(({ cidr }) => isIn(wanted, cidr));
    if (subnet?.gateway_ip === wanted) return subnet;
    throw new FafnirError(
      'MAPPING_GAP',
      `a router had the address ${wanted}, which is no gateway of a subnet of network ${network}`,
    );
  });
}

async function put(
  cloud: Cloud,
  path: readonly string[],
  body: JsonObject,
  call: CallOptions,
): Promise<void> {
  await cloud.networks.request(
    { method: 'PUT', path: ['routers', ...path], body, answer: z.unknown() },
    call,
  );
}
