import * as z from 'zod';
import { readOne } from './cloud.ts';
import { groupBy, type Item, type Kind, tagsOf } from './kind.ts';
import { NETWORKS } from './network.ts';
import { SECURITY_GROUPS } from './security-group.ts';
import { SECURITY_GROUP_RULES } from './security-group-rule.ts';

const texts = z.array(z.string()).default([]);
const addresses = z.array(z.object({ subnet_id: z.string(), ip_address: z.string() })).default([]);
const ITEM = z.object({
  id: z.string(),
  name: z.string(),
  project_id: z.string(),
  network_id: z.string(),
  device_id: z.string(),
  device_owner: z.string(),
  status: z.string(),
  fixed_ips: addresses,
  mac_address: z.string(),
  security_groups: texts,
  tags: texts,
});
const DESCRIPTION = z.object({
  name: z.string(),
  description: z.string().default(''),
  network_id: z.string(),
  admin_state_up: z.boolean(),
  mac_address: z.string(),
  fixed_ips: addresses,
  security_groups: texts,
  allowed_address_pairs: z
    .array(z.object({ ip_address: z.string(), mac_address: z.string().optional() }))
    .default([]),
  extra_dhcp_opts: z
    .array(z.object({ opt_name: z.string(), opt_value: z.string(), ip_version: z.int().optional() }))
    .default([]),
  port_security_enabled: z.boolean().optional(),
  'binding:vnic_type': z.string().optional(),
  dns_name: z.string().nullish(),
  tags: texts,
});

/** A port as Neutron lists it. */
export type PortItem = Item & {
  readonly name: string;
  readonly project_id: string;
  readonly network_id: string;
  /** The server or router that it is of; '' where it is free. */
  readonly device_id: string;
  readonly device_owner: string;
  readonly status: string;
  readonly fixed_ips: readonly { readonly ip_address: string }[];
  readonly mac_address: string;
  readonly security_groups: readonly string[];
  readonly tags: readonly string[];
};

/** Ports of Neutron: of servers, and of nobody yet. Ports of routers and of Neutron itself come with what they serve. */
export const PORTS: Kind<PortItem> = {
  type: 'OS::Neutron::Port',
  read: (cloud, call) => cloud.networks.list({ path: ['ports'], collection: 'ports', item: ITEM }, call),
  isOwn: ({ project_id, device_owner }, project) =>
    project_id === project && /^(compute:|$)/.test(device_owner),
  labels: ({ name, status, fixed_ips, mac_address, tags }) => ({
    name,
    tags: tagsOf(tags),
    attributes: {
      status,
      addresses: fixed_ips.map(({ ip_address }) => ip_address),
      macAddress: mac_address,
    },
  }),
  async links(look) {
    const [networks, groups, rules] = [
      await look(NETWORKS),
      await look(SECURITY_GROUPS),
      await look(SECURITY_GROUP_RULES),
    ];
    const rulesOf = groupBy(rules.values(), ({ security_group_id }) => security_group_id);
    // Nothing else leads to the rules: a group does not depend on them, or groups that refer to each other were a cycle.
    return ({ network_id, security_groups }) => [
      networks.target(network_id),
      ...security_groups.flatMap((id) => [
        groups.target(id),
        ...(rulesOf.get(id) ?? []).map((rule) => rules.target(rule.id)),
      ]),
    ];
  },
  capture: (id, cloud, call) => readOne(cloud.networks, ['ports', id], 'port', DESCRIPTION, call),
};
