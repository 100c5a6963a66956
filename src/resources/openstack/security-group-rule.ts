import * as z from 'zod';
import { readOne } from './cloud.ts';
import type { Item, Kind } from './kind.ts';
import { SECURITY_GROUPS } from './security-group.ts';

const DESCRIPTION = z.object({
  security_group_id: z.string(),
  direction: z.string(),
  ethertype: z.string().nullish(),
  protocol: z.string().nullish(),
  port_range_min: z.int().nullish(),
  port_range_max: z.int().nullish(),
  remote_ip_prefix: z.string().nullish(),
  remote_group_id: z.string().nullish(),
  description: z.string().nullish(),
});
const ITEM = DESCRIPTION.extend({ id: z.string(), project_id: z.string() });

/** A rule as Neutron lists it. */
export type SecurityGroupRuleItem = Item & {
  readonly project_id: string;
  readonly security_group_id: string;
  readonly direction: string;
  readonly ethertype?: string | null | undefined;
  readonly protocol?: string | null | undefined;
  readonly port_range_min?: number | null | undefined;
  readonly port_range_max?: number | null | undefined;
  readonly remote_ip_prefix?: string | null | undefined;
  readonly remote_group_id?: string | null | undefined;
};

/** Rules of security groups: what the members of a group may receive and send. */
export const SECURITY_GROUP_RULES: Kind<SecurityGroupRuleItem> = {
  type: 'OS::Neutron::SecurityGroupRule',
  read: (cloud, call) =>
    cloud.networks.list(
      { path: ['security-group-rules'], collection: 'security_group_rules', item: ITEM },
      call,
    ),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefix }) => ({
    name: [direction, ethertype ?? 'any', protocol ?? 'any'].join(' '),
    attributes: {
      direction,
      protocol: protocol ?? null,
      ports: [port_range_min ?? null, port_range_max ?? null],
      remoteAddresses: remote_ip_prefix ?? null,
    },
  }),
  async links(look) {
    const groups = await look(SECURITY_GROUPS);
    return ({ security_group_id, remote_group_id }) =>
      [security_group_id, remote_group_id ?? security_group_id].map((id) => groups.target(id));
  },
  capture: (id, cloud, call) =>
    readOne(cloud.networks, ['security-group-rules', id], 'security_group_rule', DESCRIPTION, call),
};
