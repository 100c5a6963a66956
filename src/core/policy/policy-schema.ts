import * as z from 'zod';
import type {
  PolicyField,
  PolicyRule,
  ResolvedPolicy,
  SnapshotPolicyRules,
  SnapshotPolicyWish,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseOptions, strictOptions } from '../options.ts';
import { describeBounds, isPossible, isWithin, type PolicyBounds, type PolicyValue } from './bounds.ts';
import { BUILT_IN_POLICY, POLICY_FIELDS } from './cascade.ts';

const keep = z.union([z.literal('all'), z.int().min(0)], 'must be "all" or a whole number, at least 0');
const LONGEST_LOCK = 36_500;
const lock = z.int().min(0).max(LONGEST_LOCK);
const values = {
  archive: z.boolean(),
  keep,
  background: z.boolean(),
  consistency: z.enum(['none', 'crash', 'group', 'application']),
  onInconsistency: z.enum(['refuse', 'degrade']),
};

/** A wish from outside. */
export const policyWishSchema: z.ZodType<SnapshotPolicyWish> = strictOptions({
  archive: values.archive.exactOptional(),
  keep: keep.exactOptional(),
  background: values.background.exactOptional(),
  consistency: values.consistency.exactOptional(),
  onInconsistency: values.onInconsistency.exactOptional(),
  lock: lock.exactOptional(),
});

/** A wish from outside that only says what an instant must be worth. */
export const consistencyWishSchema: z.ZodType<Pick<SnapshotPolicyWish, 'consistency' | 'onInconsistency'>> =
  strictOptions({
    consistency: values.consistency.exactOptional(),
    onInconsistency: values.onInconsistency.exactOptional(),
  });

const ruleOf = <Value extends z.ZodType, Allowed extends z.ZodType>(value: Value, allowed: Allowed) =>
  strictOptions({
    default: value.exactOptional(),
    allowed: allowed.exactOptional(),
    locked: z.literal(true).exactOptional(),
  }).exactOptional();

const rulesSchema = strictOptions({
  archive: ruleOf(values.archive, z.array(values.archive)),
  keep: ruleOf(keep, strictOptions({ least: keep.exactOptional(), most: keep.exactOptional() })),
  background: ruleOf(values.background, z.array(values.background)),
  consistency: ruleOf(values.consistency, z.array(values.consistency)),
  onInconsistency: ruleOf(values.onInconsistency, z.array(values.onInconsistency)),
  lock: ruleOf(lock, strictOptions({ least: lock.exactOptional(), most: lock.default(LONGEST_LOCK) })),
}) satisfies z.ZodType<SnapshotPolicyRules>;

const origin = z.enum(['built-in', 'provider', 'tenant', 'plan', 'call']);

/** A policy with who chose each value, as checkpoints have it: those that have no lock may not say so. */
export const resolvedPolicySchema: z.ZodType<ResolvedPolicy> = strictOptions({
  archive: strictOptions({ value: values.archive, origin }),
  keep: strictOptions({ value: keep, origin }),
  background: strictOptions({ value: values.background, origin }),
  consistency: strictOptions({ value: values.consistency, origin }),
  onInconsistency: strictOptions({ value: values.onInconsistency, origin }),
  lock: strictOptions({ value: lock, origin }).default({ value: BUILT_IN_POLICY.lock, origin: 'built-in' }),
});

/** A wish that came from outside, checked; `where` names the function for the message. */
export function parsePolicyWish(where: string, value: unknown): SnapshotPolicyWish {
  return parseOptions(where, policyWishSchema, value);
}

/** A resolved policy that came from outside, such as that of a preview, checked. */
export function parseResolvedPolicy(where: string, value: unknown): ResolvedPolicy {
  return parseOptions(where, resolvedPolicySchema, value);
}

/**
 * The rules of a level that came from outside, checked; `above` are those of the level above. `INVALID_OPTIONS` where
 * they contradict themselves or leave open what applies; whether the level above allows them is for `resolvePolicy`.
 */
export function parsePolicyRules(
  where: string,
  value: unknown,
  above: SnapshotPolicyRules = {},
): SnapshotPolicyRules {
  // To an object schema a promise is an object without members, and bounds would be lost without a word.
  if (value instanceof Promise) {
    value.catch(() => undefined);
    throw new FafnirError('INVALID_OPTIONS', `${where}: must be rules, not a promise of them`);
  }
  const rules = parseOptions(where, rulesSchema, value);
  const problems = POLICY_FIELDS.flatMap((field) => contradictions(field, rules[field], above[field]));
  if (problems.length > 0) throw new FafnirError('INVALID_OPTIONS', `${where}: ${problems.join('; ')}`);
  return rules;
}

type AnyRule = PolicyRule<PolicyValue, PolicyBounds>;

function contradictions(field: PolicyField, rule: AnyRule = {}, above: AnyRule = {}): readonly string[] {
  const { allowed } = rule;
  const given = rule.default ?? above.default;
  const problems: string[] = [];
  if (rule.locked && given === undefined) problems.push(`${field} is locked without a default`);
  if (allowed === undefined) return problems;
  const applies = given ?? BUILT_IN_POLICY[field];
  if (!isPossible(allowed)) problems.push(`${field}: nothing is allowed`);
  // What a lock above says is not this level's to mend.
  else if (!isWithin(applies, allowed) && (rule.default !== undefined || !above.locked)) {
    const whose = rule.default === undefined ? 'what applies without a default' : 'the default';
    problems.push(`${field}: ${whose}, ${applies}, is not within ${describeBounds(allowed)}`);
  }
  return problems;
}
