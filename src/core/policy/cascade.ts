import type {
  Bank,
  ChangedDefault,
  PolicyField,
  PolicyOrigin,
  PolicyRule,
  Provider,
  ResolvedPolicy,
  SnapshotPolicy,
  SnapshotPolicyRules,
  SnapshotPolicyWish,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeBounds, isWithin, named, narrowed, type PolicyBounds, type PolicyValue } from './bounds.ts';

/** What applies where no level says anything. */
export const BUILT_IN_POLICY: SnapshotPolicy = {
  archive: false,
  keep: 0,
  background: false,
  consistency: 'crash',
  onInconsistency: 'degrade',
  lock: 0,
};

/** The fields of a policy. */
export const POLICY_FIELDS: readonly PolicyField[] = Object.keys(BUILT_IN_POLICY) as PolicyField[];

/** What each level says; `parsePolicyRules` has found the rules, and `parsePolicyWish` the wishes, to be sound. */
export interface PolicyLevels {
  /** The provider's rules. */
  readonly provider?: SnapshotPolicyRules | undefined;
  /** The tenant's, within the provider's. */
  readonly tenant?: SnapshotPolicyRules | undefined;
  /** What the plan asks for. */
  readonly plan?: SnapshotPolicyWish | undefined;
  /** What the call asks for. */
  readonly call?: SnapshotPolicyWish | undefined;
}

/**
 * The policy that applies: for each field the value of the nearest level that says one. `REFUSED_BY_POLICY` where a
 * level says what one above it does not allow, even if a nearer one says otherwise; the message tells all of it.
 */
export function resolvePolicy(levels: PolicyLevels): ResolvedPolicy {
  const fields = POLICY_FIELDS.map((field) => new FieldCascade(field, levels));
  const refused = fields.filter(({ refusals }) => refusals.length > 0);
  if (refused.length > 0) {
    throw new FafnirError('REFUSED_BY_POLICY', refused.flatMap(({ refusals }) => refusals).join('; '), {
      hint: `Ask for what is allowed: ${refused.map((field) => field.describeAllowed()).join('; ')}.`,
    });
  }
  const entries = fields.map(({ field, value, origin }) => [field, { value, origin }]);
  return Object.fromEntries(entries) as ResolvedPolicy;
}

/**
 * The policy of what a tenant does with a provider, by its rules of this moment. `UNSUPPORTED` where it asks for what the
 * bank of the provider cannot do.
 */
export function policyFor(
  { policy, tenantPolicy, bank }: Pick<Provider, 'policy' | 'tenantPolicy' | 'bank'>,
  tenant: TenantId,
  wishes: Pick<PolicyLevels, 'plan' | 'call'>,
): ResolvedPolicy {
  const resolved = resolvePolicy({ provider: policy, tenant: tenantPolicy?.(tenant), ...wishes });
  assertLockable(resolved.lock, bank);
  return resolved;
}

/** `UNSUPPORTED` where a lock is asked for and the bank has none. */
export function assertLockable(
  { value, origin }: ResolvedPolicy['lock'],
  bank: Pick<Bank, 'name' | 'capabilities'>,
): void {
  if (value === 0 || bank.capabilities.locks) return;
  throw new FafnirError(
    'UNSUPPORTED',
    `the ${origin} asks for lock ${value}, but bank ${bank.name} has no locks`,
    {
      hint: 'Use a provider whose bank has locks, or ask for lock 0.',
    },
  );
}

/** A policy without who chose it. */
export const valuesOf = (resolved: ResolvedPolicy): SnapshotPolicy =>
  Object.fromEntries(POLICY_FIELDS.map((field) => [field, said(resolved, field).value])) as SnapshotPolicy;

/** The fields whose value is another now, though it was and is left to levels that are not the plan's or call's own. */
export function changedDefaults(before: ResolvedPolicy, now: ResolvedPolicy): readonly ChangedDefault[] {
  return POLICY_FIELDS.flatMap((field) => {
    const [old, current] = [said(before, field), said(now, field)];
    if (old.value === current.value || isChosen(old.origin) || isChosen(current.origin)) return [];
    return [{ field, from: old.value, to: current.value, origin: current.origin }];
  });
}

/** What a policy says of a field; one of an engine that did not know the field says what is built in. */
const said = (resolved: Partial<ResolvedPolicy>, field: PolicyField): ResolvedPolicy[PolicyField] =>
  resolved[field] ?? { value: BUILT_IN_POLICY[field], origin: 'built-in' };

const isChosen = (origin: PolicyOrigin): boolean => origin === 'plan' || origin === 'call';

/** What a level allows those below it. */
interface Limit {
  readonly level: PolicyOrigin;
  readonly bounds: PolicyBounds;
  readonly locked: boolean;
}

/** One field on its way down through the levels. */
class FieldCascade {
  readonly field: PolicyField;
  readonly refusals: string[] = [];
  value: PolicyValue;
  origin: PolicyOrigin = 'built-in';
  readonly #limits: Limit[] = [];

  constructor(field: PolicyField, { provider, tenant, plan, call }: PolicyLevels) {
    this.field = field;
    this.value = BUILT_IN_POLICY[field];
    this.#rule('provider', provider?.[field]);
    this.#rule('tenant', tenant?.[field]);
    this.#choose('plan', plan?.[field], 'asks for');
    this.#choose('call', call?.[field], 'asks for');
  }

  describeAllowed(): string {
    const allowed = this.#limits.map(({ bounds }) => bounds).reduce(narrowed);
    return `${this.field} ${describeBounds(allowed)}`;
  }

  #rule(level: PolicyOrigin, rule: PolicyRule<PolicyValue, PolicyBounds> = {}): void {
    this.#choose(level, rule.default, 'has the default');
    if (rule.allowed !== undefined) this.#bound(level, rule.allowed);
    if (rule.locked) this.#limits.push({ level, bounds: [this.value], locked: true });
  }

  #choose(level: PolicyOrigin, value: PolicyValue | undefined, says: string): void {
    if (value === undefined) return;
    const limit = this.#limits.find(({ bounds }) => !isWithin(value, bounds));
    if (limit === undefined) {
      this.value = value;
      this.origin = level;
    } else this.#refuse(`the ${level} ${says} ${this.field} ${value}`, limit);
  }

  // Bounds that are wider than a lock do no harm; those that leave its value out contradict it.
  #bound(level: PolicyOrigin, bounds: PolicyBounds): void {
    const limit = this.#limits.find((above) =>
      above.locked
        ? !isWithin(this.value, bounds)
        : named(bounds).some((value) => !isWithin(value, above.bounds)),
    );
    if (limit === undefined) this.#limits.push({ level, bounds, locked: false });
    else this.#refuse(`the ${level} allows ${this.field} ${describeBounds(bounds)}`, limit);
  }

  #refuse(said: string, { level, bounds, locked }: Limit): void {
    const does = locked ? 'locks it to' : 'allows only';
    this.refusals.push(`${said}, but the ${level} ${does} ${describeBounds(bounds)}`);
  }
}
