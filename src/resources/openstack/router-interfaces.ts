import * as z from 'zod';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isIn } from './addresses.ts';
import { type Cloud, readAll } from './cloud.ts';
import { type Making, removeFrom, unlessGone } from './making.ts';
import { readSubnets, type SubnetDescription } from './network-description.ts';
import { type RouterDescription, type RouterInterface, readInterfaces } from './router-description.ts';

const MADE = z.object({ port: z.object({ id: z.string() }) });
const PORT = z.object({ id: z.string(), device_id: z.string() });

type RouterMaking = Making<RouterDescription>;

/** Joins a router to a network by the addresses that it had, and gives the subnets. */
export async function joinNetwork(
  router: string,
  { fixed_ips }: RouterInterface,
  network: string,
  { surroundings: { address }, cloud, call }: RouterMaking,
): Promise<readonly SubnetDescription[]> {
  const subnets = await readSubnets(network, cloud, call);
  const wanted = fixed_ips.map(({ ip_address: original }) => {
    const ip = address(original);
    const subnet = subnets.find(({ cidr }) => isIn(ip, cidr));
    if (subnet !== undefined) return { subnet, ip };
    throw new FafnirError(
      'MAPPING_GAP',
      `a router had the address ${original}: map it to one in a subnet of network ${network}, which ${ip} is not`,
    );
  });
  const there = await readInterfaces(router, cloud, call);
  const joined = new Set(there.flatMap((one) => one.fixed_ips.map(({ subnet_id }) => subnet_id)));
  const missing = wanted.filter(({ subnet }) => !joined.has(subnet.id));
  if (missing.every(({ subnet, ip }) => subnet.gateway_ip === ip)) {
    for (const { subnet } of missing) {
      await putRouter([router, 'add_router_interface'], { subnet_id: subnet.id }, cloud, call);
    }
  } else {
    const addresses = missing.map(({ subnet, ip }) => ({ subnet_id: subnet.id, ip_address: ip }));
    await joinByPort(router, { network_id: network, fixed_ips: addresses }, cloud, call);
  }
  return wanted.map(({ subnet }) => subnet);
}

/** Where a router is not the gateway of a subnet, a port has its address. */
async function joinByPort(
  router: string,
  { network_id, fixed_ips }: RouterInterface,
  cloud: Cloud,
  call: CallOptions,
): Promise<void> {
  // Of an earlier call that did not get further.
  await removeLoosePorts(router, cloud, call);
  const port = { network_id, fixed_ips, description: markOf(router) };
  const request = { method: 'POST', path: ['ports'], body: { port }, answer: MADE } as const;
  const { id } = (await cloud.networks.request(request, call)).port;
  try {
    await putRouter([router, 'add_router_interface'], { port_id: id }, cloud, call);
  } catch (error) {
    // A router that was removed meanwhile leads to it no more.
    if (FafnirError.is(error, 'NOT_FOUND')) await removeFrom(cloud.networks, ['ports', id], call);
    throw error;
  }
}

/** Takes a router out of all networks, as one that is in any stays. */
export async function leaveNetworks(router: string, cloud: Cloud, call: CallOptions): Promise<void> {
  for (const { id } of await readInterfaces(router, cloud, call)) {
    await unlessGone(() => putRouter([router, 'remove_router_interface'], { port_id: id }, cloud, call));
  }
  await removeLoosePorts(router, cloud, call);
}

/** Changes a router. */
export async function putRouter(
  path: readonly string[],
  body: JsonObject,
  cloud: Cloud,
  call: CallOptions,
): Promise<void> {
  await cloud.networks.request(
    { method: 'PUT', path: ['routers', ...path], body, answer: z.unknown() },
    call,
  );
}

/** Ports that were made for a router and did not become its own. */
async function removeLoosePorts(router: string, cloud: Cloud, call: CallOptions): Promise<void> {
  const query = { description: markOf(router) };
  for (const { id, device_id } of await readAll(
    cloud.networks,
    { path: ['ports'], query, collection: 'ports' },
    PORT,
    call,
  )) {
    if (device_id === '') await removeFrom(cloud.networks, ['ports', id], call);
  }
}

const markOf = (router: string): string => `fafnir: of router ${router}`;
