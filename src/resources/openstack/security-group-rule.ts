import * as z from 'zod';
import { readOne } from './cloud.ts';
import type { Item, Kind } from './kind.ts';
import { makerOf } from './making.ts';
import { SECURITY_GROUPS } from './security-group.ts';
import { RULE_DESCRIPTION, RULE_RECIPE, type RuleDescription } from './security-group-rule-making.ts';

const ITEM = RULE_DESCRIPTION.and(z.object({ id: z.string(), project_id: z.string() }));
const TYPE = 'OS::Neutron::SecurityGroupRule';

/** A rule as Neutron lists it. */
export type SecurityGroupRuleItem = Item & RuleDescription & { readonly project_id: string };

/** Rules of security groups: what the members of a group may receive and send. */
export const SECURITY_GROUP_RULES: Kind<SecurityGroupRuleItem> = {
  type: TYPE,
  maker: makerOf(TYPE, RULE_RECIPE),
  read: (cloud, call) =>
    cloud.networks.list(
      { path: ['security-group-rules'], collection: 'security_group_rules', item: ITEM },
      call,
    ),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: (rule) => ({
    name: nameOf(rule),
    attributes: {
      direction: rule.direction,
      protocol: rule.protocol ?? null,
      ports: [rule.port_range_min ?? null, rule.port_range_max ?? null],
      remoteAddresses: rule.remote_ip_prefix ?? null,
    },
  }),
  async links(look) {
    const groups = await look(SECURITY_GROUPS);
    return ({ security_group_id, remote_group_id }) =>
      [security_group_id, remote_group_id ?? security_group_id].map((id) => groups.target(id));
  },
  capture: (id, cloud, call) =>
    readOne(cloud.networks, ['security-group-rules', id], 'security_group_rule', RULE_DESCRIPTION, call),
};

/** Neutron gives rules no names; this one says all that a rule is, so that two of one name are the same. */
function nameOf(rule: SecurityGroupRuleItem): string {
  const { direction, ethertype, protocol, port_range_min: from, port_range_max: to } = rule;
  const ports = [from, to].flatMap((port) => port ?? []).join('-');
  const remote = rule.remote_ip_prefix ?? rule.remote_group_id ?? rule.remote_address_group_id;
  const what = [direction, ethertype ?? 'any', protocol ?? 'any', ports, remote ?? 'all'];
  return `${what.filter((word) => word !== '').join(' ')} of ${rule.security_group_id}`;
}
