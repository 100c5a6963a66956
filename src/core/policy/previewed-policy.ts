import type { PolicyField, ResolvedPolicy, SnapshotPolicyWish } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { POLICY_FIELDS } from './cascade.ts';
import { parsePolicyWish, parseResolvedPolicy } from './policy-schema.ts';

/**
 * The policy of a preview that is to be run, resolved anew from what its call asked for, so that nothing is done that is
 * not allowed any more; `DRIFTED` where a value is no longer as it was shown.
 */
export function policyAsPreviewed(
  where: string,
  shown: unknown,
  resolve: (call: SnapshotPolicyWish) => ResolvedPolicy,
): ResolvedPolicy {
  const before = parseResolvedPolicy(where, shown);
  const asked = POLICY_FIELDS.filter((field) => before[field].origin === 'call');
  const call = Object.fromEntries(asked.map((field) => [field, before[field].value]));
  const now = resolve(parsePolicyWish(where, call));
  const drift = POLICY_FIELDS.filter((field) => before[field].value !== now[field].value);
  if (drift.length === 0) return now;
  const describe = (field: PolicyField): string => `${field} ${before[field].value} is ${now[field].value}`;
  throw new FafnirError('DRIFTED', `the policy is no longer as previewed: ${drift.map(describe).join('; ')}`);
}
