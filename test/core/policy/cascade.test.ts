import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BUILT_IN_POLICY,
  changedDefaults,
  POLICY_FIELDS,
  type PolicyLevels,
  resolvePolicy,
} from '../../../src/core/policy/cascade.ts';
import { parsePolicyRules, parsePolicyWish } from '../../../src/core/policy/policy-schema.ts';
import {
  FafnirError,
  type PolicyField,
  type PolicyOrigin,
  type ResolvedPolicy,
  type SnapshotPolicyRules,
} from '../../../src/index.ts';

function errorOf(work: () => unknown): FafnirError {
  try {
    work();
  } catch (error) {
    if (FafnirError.is(error)) return error;
    throw error;
  }
  throw new Error('it should have failed');
}

const refusal = (levels: PolicyLevels): FafnirError => {
  const error = errorOf(() => resolvePolicy(levels));
  expect(error.code).toBe('REFUSED_BY_POLICY');
  expect(error.retryable).toBe(false);
  return error;
};

describe('a resolved policy', () => {
  it('is the built-in one where nobody says anything', () => {
    expect(resolvePolicy({})).toEqual({
      archive: { value: false, origin: 'built-in' },
      keep: { value: 0, origin: 'built-in' },
      background: { value: false, origin: 'built-in' },
      consistency: { value: 'crash', origin: 'built-in' },
      onInconsistency: { value: 'degrade', origin: 'built-in' },
      lock: { value: 0, origin: 'built-in' },
    });
  });

  it('has the value of the nearest level that says one, and who that is', () => {
    const resolved = resolvePolicy({
      provider: {
        archive: { default: true },
        keep: { default: 1 },
        background: { default: true },
        consistency: { default: 'none' },
      },
      tenant: { keep: { default: 2 }, background: { default: false }, consistency: { default: 'group' } },
      plan: { background: true, consistency: 'none' },
      call: { consistency: 'application' },
    });
    expect(resolved).toEqual({
      archive: { value: true, origin: 'provider' },
      keep: { value: 2, origin: 'tenant' },
      background: { value: true, origin: 'plan' },
      consistency: { value: 'application', origin: 'call' },
      onInconsistency: { value: 'degrade', origin: 'built-in' },
      lock: { value: 0, origin: 'built-in' },
    });
  });

  it("is the plan's where the plan says what is locked anyway", () => {
    const provider: SnapshotPolicyRules = { archive: { default: true, locked: true } };
    const { archive } = resolvePolicy({ provider, plan: { archive: true } });
    expect(archive).toEqual({ value: true, origin: 'plan' });
  });
});

describe('a wish', () => {
  it('is refused outside of the bounds of any level, with who refuses and what is allowed', () => {
    const levels: PolicyLevels = {
      provider: { keep: { allowed: { most: 5 } } },
      tenant: { keep: { default: 2, allowed: { least: 1 } } },
    };
    const high = refusal({ ...levels, call: { keep: 'all' } });
    expect(high.message).toBe('the call asks for keep all, but the provider allows only 0 to 5');
    expect(high.hint).toBe('Ask for what is allowed: keep 1 to 5.');
    const low = refusal({ ...levels, plan: { keep: 0 } });
    expect(low.message).toBe('the plan asks for keep 0, but the tenant allows only 1 to all');
    expect(low.hint).toBe('Ask for what is allowed: keep 1 to 5.');
    for (const keep of [1, 5]) expect(resolvePolicy({ ...levels, plan: { keep } }).keep.value).toBe(keep);
  });

  it('is refused against a lock', () => {
    const provider: SnapshotPolicyRules = { consistency: { default: 'group', locked: true } };
    const error = refusal({ provider, call: { consistency: 'none' } });
    expect(error.message).toBe('the call asks for consistency none, but the provider locks it to group');
    expect(error.hint).toBe('Ask for what is allowed: consistency group.');
  });

  it('is refused with all that is wrong with it, field by field', () => {
    const error = refusal({
      provider: { archive: { default: true, locked: true }, keep: { allowed: { most: 1 } } },
      plan: { archive: false, background: true },
      call: { archive: false, keep: 2 },
    });
    expect(error.message.split('; ')).toEqual([
      'the plan asks for archive false, but the provider locks it to true',
      'the call asks for archive false, but the provider locks it to true',
      'the call asks for keep 2, but the provider allows only 0 to 1',
    ]);
    expect(error.hint).toBe('Ask for what is allowed: archive true; keep 0 to 1.');
  });

  it('of a plan is refused even where the call asks for something else', () => {
    const provider: SnapshotPolicyRules = { keep: { allowed: { most: 1 } } };
    expect(refusal({ provider, plan: { keep: 2 }, call: { keep: 1 } }).message).toMatch(/^the plan asks/);
  });
});

describe('the rules of a tenant', () => {
  it.each<[SnapshotPolicyRules, SnapshotPolicyRules, string]>([
    [
      { archive: { default: true, allowed: [true] } },
      { archive: { default: false } },
      'the tenant has the default archive false, but the provider allows only true',
    ],
    [
      { archive: { default: true, locked: true } },
      { archive: { default: false } },
      'the tenant has the default archive false, but the provider locks it to true',
    ],
    [
      { archive: { default: true, locked: true } },
      { archive: { allowed: [false] } },
      'the tenant allows archive false, but the provider locks it to true',
    ],
    [
      { keep: { default: 3, allowed: { least: 3 } } },
      { keep: { allowed: { least: 1 } } },
      'the tenant allows keep 1 to all, but the provider allows only 3 to all',
    ],
    [
      { consistency: { allowed: ['crash', 'group'] } },
      { consistency: { allowed: ['crash', 'none'] } },
      'the tenant allows consistency crash or none, but the provider allows only crash or group',
    ],
  ])("are refused where they go beyond the provider's: %j, %j", (above, rules, message) => {
    const provider = parsePolicyRules('provider', above);
    const tenant = parsePolicyRules('tenant', rules, above);
    expect(refusal({ provider, tenant }).message).toBe(message);
  });

  it('may be wider than a lock that they include, which still holds', () => {
    const provider: SnapshotPolicyRules = { archive: { default: true, locked: true } };
    const tenant: SnapshotPolicyRules = { archive: { allowed: [true, false] } };
    expect(resolvePolicy({ provider, tenant }).archive).toEqual({ value: true, origin: 'provider' });
    expect(refusal({ provider, tenant, plan: { archive: false } }).hint).toMatch(/archive true\.$/);
  });

  it('may lock what the provider has as default', () => {
    const provider: SnapshotPolicyRules = { keep: { default: 4 } };
    const tenant = parsePolicyRules('tenant', { keep: { locked: true } }, provider);
    expect(refusal({ provider, tenant, plan: { keep: 5 } }).message).toMatch(/the tenant locks it to 4$/);
  });
});

describe('rules that contradict themselves', () => {
  it.each<[object, RegExp]>([
    [{ archive: { locked: true } }, /archive is locked without a default/],
    [{ archive: { default: true, allowed: [false] } }, /the default, true, is not within false/],
    [{ archive: { allowed: [true] } }, /what applies without a default, false, is not within true/],
    [{ keep: { allowed: { least: 1 } } }, /keep: what applies without a default, 0, is not within 1 to all/],
    [{ keep: { allowed: { least: 'all', most: 9 } } }, /keep: nothing is allowed/],
    [{ consistency: { allowed: [] } }, /consistency: nothing is allowed/],
    [{ archive: { locked: true }, keep: { default: 9, allowed: { most: 1 } } }, /archive .*; keep: /],
    [{ archive: { locked: false } }, /archive\.locked/],
    [{ keep: { default: -1 } }, /keep\.default: /],
    [{ keep: { default: 1.5 } }, /keep\.default/],
    [{ keep: { allowed: [1] } }, /keep\.allowed/],
    [{ archive: true }, /archive/],
    [{ retain: {} }, /unknown option retain/],
    [Promise.resolve({ archive: { default: true } }), /not a promise/],
  ])('are INVALID_OPTIONS: %j', (rules, message) => {
    const error = errorOf(() => parsePolicyRules('here', rules));
    expect(error.code).toBe('INVALID_OPTIONS');
    expect(error.message).toMatch(message);
  });

  it('are found by what the level above has as default', () => {
    const provider = parsePolicyRules('provider', { archive: { default: true } });
    const tenant = { archive: { allowed: [false] } };
    expect(errorOf(() => parsePolicyRules('here', tenant, provider)).message).toMatch(/default, true,/);
    expect(parsePolicyRules('here', tenant)).toEqual(tenant);
  });
});

describe('a change of defaults', () => {
  const before = resolvePolicy({ provider: { keep: { default: 1 } }, plan: { background: true } });

  it('is told for what no plan and no call chose', () => {
    const now = resolvePolicy({
      provider: { archive: { default: true }, keep: { default: 1 }, background: { default: true } },
      tenant: { keep: { default: 'all' } },
    });
    expect(changedDefaults(before, now)).toEqual([
      { field: 'archive', from: false, to: true, origin: 'provider' },
      { field: 'keep', from: 1, to: 'all', origin: 'tenant' },
    ]);
    expect(changedDefaults(now, before).map(({ field, origin }) => [field, origin])).toEqual([
      ['archive', 'built-in'],
      ['keep', 'provider'],
    ]);
  });

  it('is not told where the value is the same, or was or is chosen', () => {
    expect(changedDefaults(before, before)).toEqual([]);
    const locked = resolvePolicy({ provider: { keep: { default: 1, locked: true } } });
    expect(changedDefaults(before, locked)).toEqual([]);
    const chosen = resolvePolicy({ plan: { archive: true }, call: { keep: 9 } });
    expect(changedDefaults(before, chosen)).toEqual([]);
    expect(changedDefaults(chosen, before)).toEqual([]);
  });
});

describe('any policy', () => {
  const keep = fc.constantFrom<number | 'all'>(0, 1, 2, 3, 'all');
  const days = fc.constantFrom(0, 1, 30);
  const domains = {
    archive: fc.boolean(),
    keep,
    background: fc.boolean(),
    consistency: fc.constantFrom('none', 'crash', 'group', 'application'),
    onInconsistency: fc.constantFrom('refuse', 'degrade'),
    lock: days,
  };
  const rule = (values: fc.Arbitrary<unknown>, allowed: fc.Arbitrary<unknown>) =>
    fc.record({ default: values, allowed, locked: fc.constant(true) }, { requiredKeys: [] });
  const lists = (values: fc.Arbitrary<unknown>) => fc.uniqueArray(values, { minLength: 1 });
  const rules = fc.record(
    {
      archive: rule(domains.archive, lists(domains.archive)),
      keep: rule(keep, fc.record({ least: keep, most: keep }, { requiredKeys: [] })),
      background: rule(domains.background, lists(domains.background)),
      consistency: rule(domains.consistency, lists(domains.consistency)),
      onInconsistency: rule(domains.onInconsistency, lists(domains.onInconsistency)),
      lock: rule(days, fc.record({ least: days, most: days }, { requiredKeys: [] })),
    },
    { requiredKeys: [] },
  );
  const wish = fc.record(domains, { requiredKeys: [] });
  // One field at a time is what most often gets through all the checks.
  const one = POLICY_FIELDS.map((field) =>
    fc
      .record({ provider: rules, tenant: rules, plan: wish, call: wish })
      .map((levels) => only(field, levels)),
  );
  const asked = fc.oneof(fc.record({ provider: rules, tenant: rules, plan: wish, call: wish }), ...one);

  type Asked = { readonly [Level in 'provider' | 'tenant' | 'plan' | 'call']: object };

  function only(field: PolicyField, levels: Asked): Asked {
    const pick = (level: object): object =>
      Object.fromEntries(Object.entries(level).filter(([name]) => name === field));
    const { provider, tenant, plan, call } = levels;
    return { provider: pick(provider), tenant: pick(tenant), plan: pick(plan), call: pick(call) };
  }

  /** The levels as they come from outside; undefined where the rules contradict themselves. */
  function levelsOf({ provider, tenant, plan, call }: Asked): PolicyLevels | undefined {
    try {
      const above = parsePolicyRules('provider', provider);
      return {
        provider: above,
        tenant: parsePolicyRules('tenant', tenant, above),
        plan: parsePolicyWish('plan', plan),
        call: parsePolicyWish('call', call),
      };
    } catch (error) {
      if (FafnirError.is(error, 'INVALID_OPTIONS')) return undefined;
      throw error;
    }
  }

  function outcomeOf(levels: PolicyLevels): ResolvedPolicy | undefined {
    try {
      return resolvePolicy(levels);
    } catch (error) {
      if (FafnirError.is(error, 'REFUSED_BY_POLICY')) return undefined;
      throw error;
    }
  }

  const order = (value: unknown): number => (value === 'all' ? Number.POSITIVE_INFINITY : Number(value));

  function lies(value: unknown, allowed: unknown): boolean {
    if (allowed === undefined) return true;
    if (Array.isArray(allowed)) return allowed.includes(value);
    const { least = 0, most = 'all' } = allowed as { least?: unknown; most?: unknown };
    return order(least) <= order(value) && order(value) <= order(most);
  }

  /** What each level says of a field, the farthest first. */
  const said = ({ provider, tenant, plan, call }: PolicyLevels, field: PolicyField) =>
    [
      ['built-in', BUILT_IN_POLICY[field]],
      ['provider', provider?.[field]?.default],
      ['tenant', tenant?.[field]?.default],
      ['plan', plan?.[field]],
      ['call', call?.[field]],
    ] as const satisfies readonly (readonly [PolicyOrigin, unknown])[];

  let resolved = 0;

  it('lies within all bounds and comes from the nearest level that said something', () => {
    fc.assert(
      fc.property(asked, (given) => {
        const levels = levelsOf(given);
        const policy = levels && outcomeOf(levels);
        if (levels === undefined || policy === undefined) return;
        resolved += 1;
        for (const field of POLICY_FIELDS) {
          const { value, origin } = policy[field];
          expect(lies(value, levels.provider?.[field]?.allowed)).toBe(true);
          expect(lies(value, levels.tenant?.[field]?.allowed)).toBe(true);
          expect([origin, value]).toEqual(said(levels, field).findLast(([, said]) => said !== undefined));
        }
      }),
      { numRuns: 2_000 },
    );
    expect(resolved).toBeGreaterThan(200);
  });

  it('has the value of every lock', () => {
    fc.assert(
      fc.property(asked, (given) => {
        const levels = levelsOf(given);
        const policy = levels && outcomeOf(levels);
        if (levels === undefined || policy === undefined) return;
        for (const field of POLICY_FIELDS) {
          const { provider, tenant } = levels;
          if (provider?.[field]?.locked) expect(policy[field].value).toBe(provider[field].default);
          if (tenant?.[field]?.locked) {
            expect(policy[field].value).toBe(tenant[field].default ?? provider?.[field]?.default);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('is refused only where a level said what one above it does not allow', () => {
    fc.assert(
      fc.property(asked, (given) => {
        const levels = levelsOf({ ...given, tenant: {} });
        if (levels === undefined) return;
        const bad = POLICY_FIELDS.some((field) => {
          const { default: value, allowed, locked } = levels.provider?.[field] ?? {};
          return [levels.plan?.[field], levels.call?.[field]].some(
            (wished) =>
              wished !== undefined && (!lies(wished, allowed) || (locked === true && wished !== value)),
          );
        });
        expect(outcomeOf(levels) === undefined).toBe(bad);
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not depend on the order of fields', () => {
    const turned = (level: object): object => Object.fromEntries(Object.entries(level).reverse());
    const answer = (given: Asked): unknown => {
      const levels = levelsOf(given);
      if (levels === undefined) return undefined;
      try {
        return JSON.stringify(resolvePolicy(levels));
      } catch (error) {
        return String(error);
      }
    };
    fc.assert(
      fc.property(asked, (given) => {
        const { provider, tenant, plan, call } = given;
        const other = {
          provider: turned(provider),
          tenant: turned(tenant),
          plan: turned(plan),
          call: turned(call),
        };
        expect(answer(other)).toEqual(answer(given));
      }),
    );
  });
});
