import type { JsonObject } from '../../core/contracts/index.ts';
import { isIn } from './addresses.ts';
import { type Making, type Recipe, unlessGone } from './making.ts';
import type { SubnetDescription } from './network-description.ts';
import { firstAdmitted, neutronRecipe } from './neutron-making.ts';
import { ROUTER_DESCRIPTION, type RouterDescription } from './router-description.ts';
import { joinNetwork, leaveNetworks, putRouter } from './router-interfaces.ts';

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

  async join(router, making) {
    const { description, cloud, call } = making;
    const joined: SubnetDescription[] = [];
    for (const one of description.interfaces) {
      const network = networkFor(one, making);
      if (network !== undefined) joined.push(...(await joinNetwork(router, one, network, making)));
    }
    const routes = routesFor(joined, making);
    await firstAdmitted(gatewaysFor(making), (gateway) =>
      putRouter([router], { router: { ...gateway, routes } }, cloud, call),
    );
  },

  async empty(router, cloud, call) {
    // A router that has routes stays in their networks.
    await unlessGone(() => putRouter([router], { router: { routes: [] } }, cloud, call));
    await leaveNetworks(router, cloud, call);
  },
});

type RouterMaking = Making<RouterDescription>;

const networkFor = (
  { network_id: id }: { readonly network_id: string },
  { surroundings }: RouterMaking,
): string | undefined => surroundings.resolve({ type: NETWORK, id })?.id;

/** Its gateway, the best first: administrators alone say that it translates no addresses. */
function gatewaysFor(making: RouterMaking): readonly JsonObject[] {
  const { external_gateway_info: gateway } = making.description;
  const outside = gateway === null ? undefined : networkFor(gateway, making);
  if (gateway === null || outside === undefined) return [{}];
  const least = { network_id: outside };
  const hidden = { ...least, enable_snat: false };
  return (gateway.enable_snat === false ? [hidden, least] : [least]).map((external_gateway_info) => ({
    external_gateway_info,
  }));
}

/** Its routes. Neutron refuses those to where the router is not, so that they go with a network that was left out. */
function routesFor(joined: readonly SubnetDescription[], making: RouterMaking): readonly JsonObject[] {
  const { interfaces, external_gateway_info: gateway, routes } = making.description;
  const networks = [...interfaces, ...(gateway === null ? [] : [gateway])];
  const isWhole = networks.every((one) => networkFor(one, making) !== undefined);
  return routes
    .map(({ destination, nexthop }) => ({ destination, nexthop: making.surroundings.address(nexthop) }))
    .filter(({ nexthop }) => isWhole || joined.some(({ cidr }) => isIn(nexthop, cidr)));
}
