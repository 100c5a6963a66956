import * as z from 'zod';
import type { JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Making, Recipe } from './making.ts';
import {
  NETWORK_DESCRIPTION,
  type NetworkDescription,
  readSubnets,
  type SubnetDescription,
} from './network-description.ts';
import { neutronRecipe, setTags } from './neutron-making.ts';

const MADE = z.object({ subnet: z.object({ id: z.string() }) });

/** Networks are made with their subnets. */
export const NETWORK_RECIPE: Recipe<NetworkDescription> = neutronRecipe({
  schema: NETWORK_DESCRIPTION,
  collection: 'networks',
  member: 'network',
  body(description) {
    if (description.shared || description['router:external']) {
      throw new FafnirError(
        'MAPPING_GAP',
        `network ${description.name} is shared or external, and not the project's to make`,
      );
    }
    const { admin_state_up, mtu, port_security_enabled, dns_domain, availability_zone_hints } = description;
    return {
      admin_state_up,
      ...(typeof mtu === 'number' && { mtu }),
      ...(port_security_enabled !== undefined && { port_security_enabled }),
      ...(typeof dns_domain === 'string' && { dns_domain }),
      ...(availability_zone_hints.length > 0 && { availability_zone_hints }),
    };
  },
  async fill(network, making) {
    const there = await readSubnets(network, making.cloud, making.call);
    for (const subnet of making.description.subnets) {
      // Neutron refuses subnets of one network that overlap, so a range names one.
      const id = there.find(({ cidr }) => cidr === subnet.cidr)?.id ?? (await make(network, subnet, making));
      await setTags(making.cloud, ['subnets', id], subnet.tags, making.call);
    }
  },
});

async function make(
  network: string,
  subnet: SubnetDescription,
  { cloud, call }: Making<NetworkDescription>,
): Promise<string> {
  const body = { subnet: { network_id: network, ...subnetBody(subnet) } };
  const made = await cloud.networks.request({ method: 'POST', path: ['subnets'], body, answer: MADE }, call);
  return made.subnet.id;
}

function subnetBody({
  id: _,
  tags: __,
  ipv6_address_mode,
  ipv6_ra_mode,
  service_types,
  ...fields
}: SubnetDescription): JsonObject {
  return {
    ...fields,
    ...(typeof ipv6_address_mode === 'string' && { ipv6_address_mode }),
    ...(typeof ipv6_ra_mode === 'string' && { ipv6_ra_mode }),
    ...(service_types.length > 0 && { service_types }),
  };
}
