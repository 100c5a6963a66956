import { isIP } from 'node:net';
import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll } from './cloud.ts';
import { type Making, type Recipe, removeFrom } from './making.ts';
import { markOf } from './neutron-making.ts';

const SECURITY_GROUP = 'OS::Neutron::SecurityGroup';
const LONGEST_DESCRIPTION = 255;

/** What is kept of a rule. */
export type RuleDescription = {
  readonly security_group_id: string;
  readonly direction: string;
  readonly ethertype?: string | null | undefined;
  readonly protocol?: string | null | undefined;
  readonly port_range_min?: number | null | undefined;
  readonly port_range_max?: number | null | undefined;
  readonly remote_ip_prefix?: string | null | undefined;
  readonly remote_group_id?: string | null | undefined;
  readonly remote_address_group_id?: string | null | undefined;
  readonly description?: string | null | undefined;
};

const fields = {
  security_group_id: z.string(),
  direction: z.string(),
  ethertype: z.string().nullish(),
  protocol: z.string().nullish(),
  port_range_min: z.int().nullish(),
  port_range_max: z.int().nullish(),
  remote_ip_prefix: z.string().nullish(),
  remote_group_id: z.string().nullish(),
  remote_address_group_id: z.string().nullish(),
  description: z.string().nullish(),
};
const THERE = z.object({ ...fields, id: z.string() });
const MADE = z.object({ security_group_rule: z.object({ id: z.string() }) });

/** A rule as it is kept. */
export const RULE_DESCRIPTION: z.ZodType<RuleDescription> = z.object(fields);

/** Rules have neither names nor tags, and stay as they are: the end of their description carries the token. */
export const RULE_RECIPE: Recipe<RuleDescription & { readonly name?: string }> = {
  schema: RULE_DESCRIPTION,
  joined: true,
  nameless: true,

  gaps:
    async () =>
    ({ description }) =>
      gapOf(description),

  // A group has no two rules that admit the same, and the group of every project has some from the start.
  async standIn({ description, token, surroundings, cloud, call }) {
    const wanted = ruleFor(description, surroundings);
    const there = await readRules({ security_group_id: wanted.security_group_id }, cloud, call);
    const same = there.find((one) => admitsSame(one, wanted));
    return same === undefined || carries(same, token) ? undefined : same.id;
  },

  async find(token, cloud, call) {
    const all = await readRules({}, cloud, call);
    return all.flatMap((one) => (carries(one, token) ? [one.id] : []));
  },

  async make({ description, token, surroundings, cloud, call }) {
    const rule = { ...ruleFor(description, surroundings), description: textWith(description, token) };
    const request = {
      method: 'POST',
      path: ['security-group-rules'],
      body: { security_group_rule: rule },
      answer: MADE,
    } as const;
    return (await cloud.networks.request(request, call)).security_group_rule.id;
  },

  remove: (id, cloud, call) => removeFrom(cloud.networks, ['security-group-rules', id], call),
};

function readRules(
  query: Readonly<Record<string, string>>,
  cloud: Cloud,
  call: CallOptions,
): Promise<readonly z.infer<typeof THERE>[]> {
  const place = { path: ['security-group-rules'], query, collection: 'security_group_rules' };
  return readAll(cloud.networks, place, THERE, call);
}

// Without them the rule would admit everybody.
function gapOf({ remote_address_group_id: group }: RuleDescription): string | undefined {
  if (typeof group !== 'string') return undefined;
  return `a rule admits the address group ${group}, which is not restored: map the rule to one that is there`;
}

type Rule = Omit<RuleDescription, 'description' | 'remote_address_group_id'>;

/** The rule as it is to be among what stands for the groups. */
function ruleFor(description: RuleDescription, surroundings: Making<RuleDescription>['surroundings']): Rule {
  const gap = gapOf(description);
  if (gap !== undefined) throw new FafnirError('MAPPING_GAP', gap);
  const groupFor = (id: string): string => {
    const group = surroundings.resolve({ type: SECURITY_GROUP, id });
    if (group !== undefined) return group.id;
    throw new FafnirError(
      'MAPPING_GAP',
      `a rule is about security group ${id}, which the checkpoint left out: leave the rule out as well, or map it`,
    );
  };
  const { direction, ethertype, protocol, port_range_min, port_range_max } = description;
  const { remote_ip_prefix: prefix, remote_group_id: remote } = description;
  return {
    security_group_id: groupFor(description.security_group_id),
    direction,
    ethertype: ethertype ?? null,
    protocol: protocol ?? null,
    port_range_min: port_range_min ?? null,
    port_range_max: port_range_max ?? null,
    remote_ip_prefix: typeof prefix === 'string' ? prefixFor(prefix, surroundings.address) : null,
    remote_group_id: typeof remote === 'string' ? groupFor(remote) : null,
  };
}

/** A rule that admits one address follows it. */
function prefixFor(prefix: string, address: (original: string) => string): string {
  const [original = '', length] = prefix.split('/');
  const isOne = length === (isIP(original) === 6 ? '128' : '32');
  return isOne ? `${address(original)}/${length}` : prefix;
}

function admitsSame(one: RuleDescription, other: Rule): boolean {
  // Neutron has no two rules whose ranges are the same, whoever made them.
  const key = (rule: Rule): string =>
    JSON.stringify([
      rule.direction,
      rule.ethertype,
      rule.protocol,
      rule.port_range_min,
      rule.port_range_max,
      rule.remote_ip_prefix,
      rule.remote_group_id,
    ]);
  return (one.remote_address_group_id ?? null) === null && key(one) === key(other);
}

const carries = ({ description }: RuleDescription, token: string): boolean =>
  description?.endsWith(markOf(token)) === true;

function textWith({ description }: RuleDescription, token: string): string {
  const own = (description ?? '').replace(/ ?fafnir-[a-f0-9]{32}$/, '');
  const mark = markOf(token);
  return `${own.slice(0, LONGEST_DESCRIPTION - mark.length - 1)} ${mark}`.trim();
}
