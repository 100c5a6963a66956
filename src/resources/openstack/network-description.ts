import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { type Cloud, readAll } from './cloud.ts';

/** What is kept of a subnet; ports and routers name its id. */
export type SubnetDescription = {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly ip_version: number;
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly enable_dhcp: boolean;
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[];
  readonly dns_nameservers: readonly string[];
  readonly host_routes: readonly { readonly destination: string; readonly nexthop: string }[];
  readonly ipv6_address_mode?: string | null | undefined;
  readonly ipv6_ra_mode?: string | null | undefined;
  readonly service_types: readonly string[];
  readonly tags: readonly string[];
};

/** What is kept of a network itself. */
export type NetworkFields = {
  readonly name: string;
  readonly description: string;
  readonly admin_state_up: boolean;
  readonly shared: boolean;
  readonly 'router:external': boolean;
  readonly mtu?: number | null | undefined;
  readonly port_security_enabled?: boolean | undefined;
  readonly dns_domain?: string | null | undefined;
  readonly availability_zone_hints: readonly string[];
  readonly tags: readonly string[];
};

/** What is kept of a network. */
export type NetworkDescription = NetworkFields & { readonly subnets: readonly SubnetDescription[] };

const texts = z.array(z.string()).default([]);
const fields = {
  name: z.string(),
  description: z.string().default(''),
  admin_state_up: z.boolean(),
  shared: z.boolean().default(false),
  'router:external': z.boolean().default(false),
  mtu: z.int().nullish(),
  port_security_enabled: z.boolean().optional(),
  dns_domain: z.string().nullish(),
  availability_zone_hints: texts,
  tags: texts,
};
const SUBNET: z.ZodType<SubnetDescription> = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().default(''),
  ip_version: z.int(),
  cidr: z.string(),
  gateway_ip: z.string().nullable(),
  enable_dhcp: z.boolean(),
  allocation_pools: z.array(z.object({ start: z.string(), end: z.string() })).default([]),
  dns_nameservers: texts,
  host_routes: z.array(z.object({ destination: z.string(), nexthop: z.string() })).default([]),
  ipv6_address_mode: z.string().nullish(),
  ipv6_ra_mode: z.string().nullish(),
  service_types: texts,
  tags: texts,
});

/** A network without its subnets. */
export const NETWORK_FIELDS: z.ZodType<NetworkFields> = z.object(fields);

/** A network with its subnets. */
export const NETWORK_DESCRIPTION: z.ZodType<NetworkDescription> = z.object({
  ...fields,
  subnets: z.array(SUBNET),
});

/** The subnets of a network. */
export function readSubnets(
  network: string,
  cloud: Cloud,
  call: CallOptions,
): Promise<readonly SubnetDescription[]> {
  const place = { path: ['subnets'], query: { network_id: network }, collection: 'subnets' };
  return readAll(cloud.networks, place, SUBNET, call);
}
