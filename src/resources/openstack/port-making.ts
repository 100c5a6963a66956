import { isIP } from 'node:net';
import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isIn } from './addresses.ts';
import { type Cloud, readAll } from './cloud.ts';
import type { Making, Recipe } from './making.ts';
import { readSubnets, type SubnetDescription } from './network-description.ts';
import { neutronRecipe } from './neutron-making.ts';
import { PORT_DESCRIPTION, type PortDescription } from './port-description.ts';

const NETWORK = 'OS::Neutron::Network';
const SECURITY_GROUP = 'OS::Neutron::SecurityGroup';

const DHCP = 'network:dhcp';

const NEIGHBOUR = z.object({
  id: z.string(),
  device_owner: z.string(),
  mac_address: z.string(),
  fixed_ips: z.array(z.object({ subnet_id: z.string(), ip_address: z.string() })).default([]),
});

type Neighbour = z.infer<typeof NEIGHBOUR>;
type Address = { readonly subnet_id: string; readonly ip_address?: string };

/** Ports are made with the addresses that they had, where the network is the project's own. */
export const PORT_RECIPE: Recipe<PortDescription> = neutronRecipe({
  schema: PORT_DESCRIPTION,
  collection: 'ports',
  member: 'port',
  joined: true,

  gaps:
    async () =>
    ({ description: { name, fixed_ips }, address }) => {
      for (const { ip_address: original } of fixed_ips) {
        const wanted = address(original);
        if (isIP(wanted) !== isIP(original)) {
          return `port ${name}: map its address ${original} to one of its kind, not to ${wanted}`;
        }
      }
      return undefined;
    },

  async bodies(making) {
    const { description, surroundings, cloud, call } = making;
    const { admin_state_up, extra_dhcp_opts, dns_name, port_security_enabled } = description;
    const network = networkFor(making);
    const neighbours = await readNeighbours(network, cloud, call);
    const fixed_ips = addressesIn(network, await readSubnets(network, cloud, call), making);
    await makeRoom(fixed_ips, neighbours, making);
    const vnicType = description['binding:vnic_type'];
    const least = {
      network_id: network,
      admin_state_up,
      security_groups: description.security_groups.flatMap(
        (id) => surroundings.resolve({ type: SECURITY_GROUP, id })?.id ?? [],
      ),
      ...(extra_dhcp_opts.length > 0 && { extra_dhcp_opts }),
      ...(vnicType !== undefined && { 'binding:vnic_type': vnicType }),
      // Nova names the ports of servers after them.
      ...(typeof dns_name === 'string' && dns_name !== '' && !isOfServer(description) && { dns_name }),
      ...(description.allowed_address_pairs.length > 0 && { allowed_address_pairs: pairsFor(making) }),
      ...(port_security_enabled === false && { port_security_enabled }),
    };
    const { mac_address } = description;
    const best = {
      ...least,
      fixed_ips,
      ...(port_security_enabled !== undefined && { port_security_enabled }),
      ...(neighbours.every((one) => one.mac_address !== mac_address) && { mac_address }),
    };
    const isMapped = description.fixed_ips.some(
      ({ ip_address }) => surroundings.address(ip_address) !== ip_address,
    );
    // In a network of others a project chooses among subnets alone; addresses that were asked for are insisted on.
    return isMapped
      ? [best]
      : [best, { ...least, fixed_ips: fixed_ips.map(({ subnet_id }) => ({ subnet_id })) }];
  },
});

const isOfServer = ({ device_owner = '' }: PortDescription): boolean => device_owner.startsWith('compute:');

function networkFor({ description: { name, network_id }, surroundings }: Making<PortDescription>): string {
  const network = surroundings.resolve({ type: NETWORK, id: network_id });
  if (network !== undefined) return network.id;
  throw new FafnirError(
    'MAPPING_GAP',
    `port ${name} was in network ${network_id}, which the checkpoint left out: map the port to another one`,
  );
}

function readNeighbours(network: string, cloud: Cloud, call: CallOptions): Promise<readonly Neighbour[]> {
  const place = { path: ['ports'], query: { network_id: network }, collection: 'ports' };
  return readAll(cloud.networks, place, NEIGHBOUR, call);
}

/** The addresses that a port is to have in a network. */
function addressesIn(
  network: string,
  subnets: readonly SubnetDescription[],
  { description: { name, fixed_ips }, surroundings }: Making<PortDescription>,
): readonly Address[] {
  return fixed_ips.map((fixed) => {
    const ip_address = surroundings.address(fixed.ip_address);
    const subnet = subnets.find(({ cidr }) => isIn(ip_address, cidr));
    if (subnet === undefined) {
      throw new FafnirError(
        'MAPPING_GAP',
        `port ${name} had the address ${fixed.ip_address}: map it to one in a subnet of network ${network}, which ${ip_address} is not`,
      );
    }
    // There the address comes of the MAC address, and Neutron refuses to be told it.
    const isAutomatic = /^(slaac|dhcpv6-stateless)$/.test(subnet.ipv6_address_mode ?? '');
    return { subnet_id: subnet.id, ...(!isAutomatic && { ip_address }) };
  });
}

/** Refuses addresses that others have; Neutron's own servers move away, as they take the first ones that they find. */
async function makeRoom(
  wanted: readonly Address[],
  neighbours: readonly Neighbour[],
  { description: { name }, cloud, call }: Making<PortDescription>,
): Promise<void> {
  const isWanted = ({ ip_address }: Address): boolean => wanted.some((one) => one.ip_address === ip_address);
  const inTheWay = neighbours.filter(({ fixed_ips }) => fixed_ips.some(isWanted));
  const holder = inTheWay.find(({ device_owner }) => device_owner !== DHCP);
  if (holder !== undefined) {
    const address = holder.fixed_ips.find(isWanted)?.ip_address;
    throw new FafnirError(
      'MAPPING_GAP',
      `port ${name} cannot have the address ${address}, which port ${holder.id} has: map it to another one`,
    );
  }
  for (const { id, fixed_ips } of inTheWay) {
    const moved = fixed_ips.map((fixed) => (isWanted(fixed) ? { subnet_id: fixed.subnet_id } : fixed));
    const body = { port: { fixed_ips: moved } };
    await cloud.networks.request({ method: 'PUT', path: ['ports', id], body, answer: z.unknown() }, call);
  }
}

/** What else may send from a port; Neutron says the port's own MAC address where none was given. */
function pairsFor({
  description: { mac_address: own, allowed_address_pairs },
  surroundings,
}: Making<PortDescription>) {
  return allowed_address_pairs.map(({ ip_address, mac_address }) => ({
    ip_address: surroundings.address(ip_address),
    ...(mac_address !== undefined && mac_address !== own && { mac_address }),
  }));
}
