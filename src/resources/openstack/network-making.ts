import * as z from 'zod';
import type { CallOptions, JsonObject, Names } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll } from './cloud.ts';
import type { Making, Recipe } from './making.ts';
import {
  NETWORK_DESCRIPTION,
  type NetworkDescription,
  readSubnets,
  type SubnetDescription,
} from './network-description.ts';
import { neutronRecipe, setTags } from './neutron-making.ts';

const MADE = z.object({ subnet: z.object({ id: z.string() }) });

/** The kind of names under which external networks are mapped. */
const POOL = 'floating-pool';

/** Networks are made with their subnets; those that others share with the project are found. */
export const NETWORK_RECIPE: Recipe<NetworkDescription> = neutronRecipe({
  schema: NETWORK_DESCRIPTION,
  collection: 'networks',
  member: 'network',
  maps: [POOL],
  async standIn({ description, names, cloud, call }) {
    if (!isOfOthers(description)) return undefined;
    const found = findSame(description, names, await readNetworks(cloud, call));
    if (typeof found === 'string') throw new FafnirError('MAPPING_GAP', found);
    return found.id;
  },
  async gaps(cloud, call) {
    const networks = await readNetworks(cloud, call);
    return ({ description, names }) => {
      const found = isOfOthers(description) ? findSame(description, names, networks) : undefined;
      return typeof found === 'string' ? found : undefined;
    };
  },
  bodies({
    description: { admin_state_up, mtu, port_security_enabled, dns_domain, availability_zone_hints: hints },
  }) {
    const body = {
      admin_state_up,
      ...(typeof mtu === 'number' && { mtu }),
      ...(port_security_enabled !== undefined && { port_security_enabled }),
      ...(typeof dns_domain === 'string' && { dns_domain }),
      ...(hints.length > 0 && { availability_zone_hints: hints }),
    };
    return [body];
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

type Network = {
  readonly id: string;
  readonly name: string;
  readonly shared: boolean;
  readonly 'router:external': boolean;
};

const NETWORK: z.ZodType<Network> = z.object({
  id: z.string(),
  name: z.string(),
  shared: z.boolean().default(false),
  'router:external': z.boolean().default(false),
});

const readNetworks = (cloud: Cloud, call: CallOptions): Promise<readonly Network[]> =>
  readAll(cloud.networks, { path: ['networks'], collection: 'networks' }, NETWORK, call);

const isOfOthers = ({ shared, 'router:external': external }: NetworkDescription): boolean =>
  shared || external;

/** The network that is the same to a project as the one described, or why there is none. */
function findSame(
  { name: original, 'router:external': external }: NetworkDescription,
  names: Names,
  networks: readonly Network[],
): Network | string {
  const name = external ? names.of(POOL, original) : original;
  const alike = networks.filter((one) => (external ? one['router:external'] : one.shared));
  const [found, another] = alike.filter((one) => one.name === name);
  if (found !== undefined && another === undefined) return found;
  const [quality, remedy] = external
    ? ['external', `map the ${POOL} ${original} to the name of another, or the network to its id`]
    : ['shared', 'map it to the id of another'];
  const there = [...new Set(alike.map((one) => one.name))].join(', ') || 'none';
  const how = found === undefined ? `there is no ${quality} network of this name` : 'several have this name';
  return `${quality} network ${name}: ${how}; ${remedy} (there are: ${there})`;
}

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
