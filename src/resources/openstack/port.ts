import * as z from 'zod';
import { readOne } from './cloud.ts';
import { groupBy, type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf } from './making.ts';
import { NETWORKS } from './network.ts';
import { PORT_DESCRIPTION } from './port-description.ts';
import { PORT_RECIPE } from './port-making.ts';
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
const TYPE = 'OS::Neutron::Port';

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
  type: TYPE,
  maker: makerOf(TYPE, PORT_RECIPE),
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
  capture: (id, cloud, call) => readOne(cloud.networks, ['ports', id], 'port', PORT_DESCRIPTION, call),
};
