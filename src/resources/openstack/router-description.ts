import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { type Cloud, readAll } from './cloud.ts';

type Address = { readonly subnet_id: string; readonly ip_address: string };

/** By what a router is joined to a network. */
export type RouterInterface = {
  readonly network_id: string;
  readonly fixed_ips: readonly Address[];
};

/** What is kept of a router itself. */
export type RouterFields = {
  readonly name: string;
  readonly description: string;
  readonly admin_state_up: boolean;
  readonly external_gateway_info: {
    readonly network_id: string;
    readonly enable_snat?: boolean | undefined;
    readonly external_fixed_ips: readonly Address[];
  } | null;
  readonly routes: readonly { readonly destination: string; readonly nexthop: string }[];
  readonly distributed?: boolean | undefined;
  readonly ha?: boolean | undefined;
  readonly availability_zone_hints: readonly string[];
  readonly tags: readonly string[];
};

/** What is kept of a router. */
export type RouterDescription = RouterFields & { readonly interfaces: readonly RouterInterface[] };

/** A port of a router. */
export type RouterPort = RouterInterface & { readonly id: string; readonly device_owner: string };

const texts = z.array(z.string()).default([]);
const address = z.object({ subnet_id: z.string(), ip_address: z.string() });
const joined = { network_id: z.string(), fixed_ips: z.array(address) };
const fields = {
  name: z.string(),
  description: z.string().default(''),
  admin_state_up: z.boolean(),
  external_gateway_info: z
    .object({
      network_id: z.string(),
      enable_snat: z.boolean().optional(),
      external_fixed_ips: z.array(address).default([]),
    })
    .nullable(),
  routes: z.array(z.object({ destination: z.string(), nexthop: z.string() })).default([]),
  distributed: z.boolean().optional(),
  ha: z.boolean().optional(),
  availability_zone_hints: texts,
  tags: texts,
};
const PORT: z.ZodType<RouterPort> = z.object({ ...joined, id: z.string(), device_owner: z.string() });

/** A router without its interfaces. */
export const ROUTER_FIELDS: z.ZodType<RouterFields> = z.object(fields);

/** A router with its interfaces. */
export const ROUTER_DESCRIPTION: z.ZodType<RouterDescription> = z.object({
  ...fields,
  interfaces: z.array(z.object(joined)),
});

/** Whether a port joins a router to a network. */
export function isRouterInterface({ device_owner }: { readonly device_owner: string }): boolean {
  return /^network:(router_interface|ha_router_replicated_interface)/.test(device_owner);
}

/** The ports that join a router to networks. */
export async function readInterfaces(
  router: string,
  cloud: Cloud,
  call: CallOptions,
): Promise<readonly RouterPort[]> {
  const place = { path: ['ports'], query: { device_id: router }, collection: 'ports' };
  return (await readAll(cloud.networks, place, PORT, call)).filter(isRouterInterface);
}
