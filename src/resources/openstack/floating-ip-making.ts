import { isIP } from 'node:net';
import * as z from 'zod';
import { FafnirError } from '../../core/errors.ts';
import { isIn } from './addresses.ts';
import { readAll, readOne } from './cloud.ts';
import type { Making, Recipe } from './making.ts';
import { readSubnets } from './network-description.ts';
import { neutronRecipe } from './neutron-making.ts';

/** What is kept of a floating address. */
export type FloatingIpDescription = {
  readonly description: string;
  readonly floating_network_id: string;
  readonly floating_ip_address: string;
  readonly fixed_ip_address?: string | null | undefined;
  readonly port_id?: string | null | undefined;
  readonly router_id?: string | null | undefined;
  readonly dns_name?: string | null | undefined;
  readonly dns_domain?: string | null | undefined;
  readonly tags: readonly string[];
};

/** A floating address as it is kept. */
export const FLOATING_IP_DESCRIPTION: z.ZodType<FloatingIpDescription> = z.object({
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

const LEADS = z.object({ port_id: z.string().nullish() });
const ADDRESS = z.object({ floating_ip_address: z.string() });

/** Floating addresses lead to what stands for their port. They are the same ones where the cloud admits that. */
export const FLOATING_IP_RECIPE: Recipe<FloatingIpDescription & { readonly name?: string }> = neutronRecipe({
  schema: FLOATING_IP_DESCRIPTION,
  collection: 'floatingips',
  member: 'floatingip',
  joined: true,
  nameless: true,

  gaps:
    async () =>
    ({ description: { floating_ip_address, fixed_ip_address }, address }) => {
      for (const original of [floating_ip_address, fixed_ip_address ?? '']) {
        const wanted = address(original);
        if (isIP(wanted) !== isIP(original)) {
          return `floating address ${floating_ip_address}: map ${original} to an address of its kind, not to ${wanted}`;
        }
      }
      return undefined;
    },

  async bodies(making) {
    const { description, surroundings } = making;
    const { floating_ip_address: original, fixed_ip_address: fixed, dns_name, dns_domain } = description;
    const network = networkFor(making);
    const port = portFor(making);
    const least = {
      floating_network_id: network,
      ...(port !== undefined && { port_id: port }),
      ...(port !== undefined &&
        typeof fixed === 'string' && { fixed_ip_address: surroundings.address(fixed) }),
      ...(typeof dns_name === 'string' && dns_name !== '' && { dns_name }),
      ...(typeof dns_domain === 'string' && dns_domain !== '' && { dns_domain }),
    };
    const wanted = surroundings.address(original);
    const best = { ...least, floating_ip_address: wanted };
    // What was asked for is insisted on.
    if (wanted !== original) return [best];
    return (await isFree(wanted, network, making)) ? [best, least] : [least];
  },

  async probe(id, making) {
    const { cloud, call } = making;
    const { port_id } = await readOne(cloud.networks, ['floatingips', id], 'floatingip', LEADS, call);
    const wanted = portFor(making);
    if (wanted === undefined || port_id === wanted) return;
    throw new FafnirError('PLUGIN_FAILED', `floating address ${id} does not lead to port ${wanted}`);
  },
});

/** What stands for the port that it led to. */
function portFor({ description: { port_id }, surroundings }: Making<FloatingIpDescription>) {
  if (typeof port_id !== 'string') return undefined;
  return surroundings.resolve({ type: 'OS::Neutron::Port', id: port_id })?.id;
}

function networkFor({ description, surroundings }: Making<FloatingIpDescription>): string {
  const { floating_network_id: id, floating_ip_address: address } = description;
  const network = surroundings.resolve({ type: 'OS::Neutron::Network', id });
  if (network !== undefined) return network.id;
  throw new FafnirError(
    'MAPPING_GAP',
    `floating address ${address} is of network ${id}, which the checkpoint left out: map the address to another one`,
  );
}

/** Whether an address may be had, as far as the credentials can see. */
async function isFree(
  address: string,
  network: string,
  { cloud, call }: Making<FloatingIpDescription>,
): Promise<boolean> {
  const subnets = await readSubnets(network, cloud, call);
  if (!subnets.some(({ cidr }) => isIn(address, cidr))) return false;
  const query = { floating_ip_address: address };
  const place = { path: ['floatingips'], query, collection: 'floatingips' };
  return (await readAll(cloud.networks, place, ADDRESS, call)).length === 0;
}
