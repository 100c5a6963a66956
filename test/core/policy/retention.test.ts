import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CheckpointId, CopyKind, RetentionPolicy } from '../../../src/core/contracts/index.ts';
import { planRetention, type RetainedCheckpoint } from '../../../src/core/policy/retention.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 5, 30, 12);

type Wish = Partial<Omit<RetainedCheckpoint, 'id' | 'instant'>> & { readonly proven?: boolean };

/** A checkpoint that is so many milliseconds old, whose archives are proven unless told otherwise. */
function aged(age: number, { proven = true, ...wish }: Wish = {}): RetainedCheckpoint {
  const instant = NOW - age;
  return {
    id: `at-${instant}` as CheckpointId,
    instant,
    isWhole: true,
    isHeld: false,
    isLocked: false,
    copies: { archive: { isProven: proven, isCovered: [] } },
    ...wish,
  };
}

const daily = (count: number): readonly RetainedCheckpoint[] =>
  Array.from({ length: count }, (_, days) => aged(days * DAY));

/** The days of age of those that stay. */
const kept = (checkpoints: readonly RetainedCheckpoint[], policy: RetentionPolicy): readonly number[] => {
  const ages = new Map(checkpoints.map(({ id, instant }) => [id, (NOW - instant) / DAY]));
  return planRetention(checkpoints, policy, NOW).flatMap(({ checkpoint, action }) =>
    action === 'remove' ? [] : (ages.get(checkpoint) ?? []),
  );
};

describe('the plan of a retention', () => {
  it('keeps what is locked, with the reason, and lets array copies of it go that an archive covers', () => {
    const copies = {
      array: { isProven: true, isCovered: ['archive'] },
      archive: { isProven: true, isCovered: ['array'] },
    } as const;
    const old = { isLocked: true, copies };
    const bare = { isLocked: true, copies: { array: { isProven: true, isCovered: [] } } };
    const checkpoints = [
      aged(0),
      aged(DAY, old),
      aged(2 * DAY, bare),
      aged(3 * DAY, { copies: {}, isLocked: true }),
    ];
    const decisions = planRetention(checkpoints, { array: { last: 1 }, archive: { last: 1 } }, NOW);
    expect(decisions.map(({ action, kept }) => [action, kept])).toEqual([
      ['keep', { archive: ['least', 'last'] }],
      ['keep', { array: ['last'], archive: ['locked'] }],
      ['keep', { array: ['locked'] }],
      ['keep', {}],
    ]);
    const without = planRetention(checkpoints, { array: { within: 0 }, archive: { last: 1 } }, NOW);
    expect(without[1]).toMatchObject({ action: 'keep' });
    const older = planRetention(
      [...checkpoints, aged(4 * DAY, old)],
      { array: { last: 1 }, archive: { last: 1 } },
      NOW,
    );
    expect(older[4]).toMatchObject({ action: 'reduce', kept: { archive: ['locked'] }, removed: ['array'] });
  });

  it('keeps the newest so many, not the oldest', () => {
    expect(kept(daily(10), { archive: { last: 3 } })).toEqual([0, 1, 2]);
  });

  it('does not care in which order it is told', () => {
    const policy = { archive: { last: 3, weekly: 2 } };
    expect(planRetention(daily(20).toReversed(), policy, NOW)).toEqual(planRetention(daily(20), policy, NOW));
  });

  it('keeps what is within a time of the newest, however long ago the newest is', () => {
    const late = daily(10).map(({ instant }) => aged(NOW - instant + 400 * DAY));
    expect(kept(late, { archive: { within: 2 * DAY } })).toEqual([400, 401, 402]);
  });

  it('keeps grandfathers, fathers and sons: the newest of each period that has any', () => {
    expect(kept(daily(100), { archive: { daily: 3, weekly: 3, monthly: 3 } })).toEqual([
      // 30 June 2026 is a Tuesday: the weeks before end on the 28th and the 21st, the months before on 31 May and 30 April.
      0,
      1, 2, 9, 30, 61,
    ]);
  });

  it('goes by the days of the time zone', () => {
    // 12 and 10 hours before noon UTC: two days in UTC, one in Auckland.
    const two = [aged(10 * HOUR), aged(13 * HOUR)];
    expect(kept(two, { archive: { daily: 2 } })).toHaveLength(2);
    expect(kept(two, { archive: { daily: 2 }, timeZone: 'Pacific/Auckland' })).toHaveLength(1);
  });

  it.each([
    ['not proven', { proven: false }],
    ['not whole', { isWhole: false }],
  ] as const)('does not count what is %s, and keeps what is newer than all that counts', (_, wish) => {
    const good = daily(6).slice(3);
    const bad = [aged(0, wish), aged(DAY, wish), aged(2 * DAY, wish)];
    expect(kept([...bad, ...good], { archive: { last: 2 } })).toEqual([0, 1, 2, 3, 4]);
  });

  it('removes what was never proven once it is older than all that stays', () => {
    expect(kept([...daily(3), aged(7 * DAY, { proven: false })], { archive: { last: 2 } })).toEqual([0, 1]);
  });

  it('removes nothing where nothing counts', () => {
    const none = [1, 2, 3].map((days) => aged(days * DAY, { proven: false }));
    expect(kept(none, { archive: { last: 1 } })).toEqual([1, 2, 3]);
  });

  it('lets a burst of new ones push out nothing', () => {
    const burst = Array.from({ length: 50 }, (_, seconds) => aged(seconds * 1_000 + 1));
    const policy = { archive: { last: 4 } };
    const days = kept([...burst, ...daily(5).slice(1)], policy).filter((age) => age >= 1);
    expect(days).toEqual([1, 2, 3]);
    expect(kept([...burst, ...daily(5).slice(1)], policy)).toHaveLength(4 + 3);
  });

  it('lets one of the future neither count nor go', () => {
    const future = aged(-30 * DAY);
    const policy = { archive: { last: 2, within: DAY } };
    expect(kept([future, ...daily(5)], policy)).toEqual([-30, 0, 1]);
    const [decision] = planRetention([future, ...daily(5)], policy, NOW);
    expect(decision?.kept).toEqual({ archive: ['future'] });
  });

  it('keeps what is held, which does not count for less', () => {
    const held = aged(9 * DAY, { isHeld: true });
    expect(kept([...daily(5), held], { archive: { last: 2 } })).toEqual([0, 1, 9]);
  });

  it('keeps the least number that count whole, whatever the rules say', () => {
    expect(kept(daily(5), { archive: { last: 1 }, least: 3 })).toEqual([0, 1, 2]);
  });

  it('gives each kind of copy its own rules', () => {
    const copies = {
      array: { isProven: true, isCovered: ['archive' as const] },
      archive: { isProven: true, isCovered: ['array' as const] },
    };
    const four = daily(4).map(({ instant }) => aged(NOW - instant, { copies }));
    const decisions = planRetention(four, { array: { last: 1 }, archive: { last: 3 } }, NOW);
    expect(decisions.map(({ action, removed }) => [action, ...removed])).toEqual([
      ['keep'],
      ['reduce', 'array'],
      ['reduce', 'array'],
      ['remove', 'array', 'archive'],
    ]);
  });

  it('takes no copy away for which no other is proven, and none of a kind that no rule speaks of', () => {
    const copies = {
      array: { isProven: true, isCovered: [] },
      archive: { isProven: false, isCovered: ['array' as const] },
    };
    const stock = { isProven: true, isCovered: [] };
    const newer = daily(2).map(({ instant }) =>
      aged(NOW - instant, { copies: { array: stock, archive: stock } }),
    );
    const old = aged(9 * DAY, { copies });
    const decide = (policy: RetentionPolicy) => planRetention([...newer, old], policy, NOW).at(-1);
    expect(decide({ array: { last: 1 } })).toMatchObject({ action: 'keep', kept: { array: ['only-copy'] } });
    expect(decide({ archive: { last: 1 } })).toMatchObject({
      action: 'reduce',
      removed: ['archive'],
      kept: { array: ['no-rule'] },
    });
  });
});

const KINDS: readonly CopyKind[] = ['array', 'archive', 'external'];

const anyStock = fc.record({
  isProven: fc.boolean(),
  isCovered: fc.subarray([...KINDS]),
});
const anyCheckpoints = fc.uniqueArray(fc.integer({ min: -5, max: 400 }), { maxLength: 40 }).chain((ages) =>
  fc.tuple(
    ...ages.map((age) =>
      fc
        .record({
          isWhole: fc.boolean(),
          isHeld: fc.boolean(),
          copies: fc.record({ array: anyStock, archive: anyStock, external: anyStock }, { requiredKeys: [] }),
        })
        .map((wish) => aged(age * 7 * HOUR, wish)),
    ),
  ),
);
const anyRules = fc.record(
  {
    last: fc.integer({ min: 1, max: 5 }),
    within: fc.integer({ min: 0, max: 30 * DAY }),
    daily: fc.integer({ min: 1, max: 5 }),
    monthly: fc.integer({ min: 1, max: 3 }),
  },
  { requiredKeys: [] },
);
const anyPolicy: fc.Arbitrary<RetentionPolicy> = fc.record(
  { array: anyRules, archive: anyRules, external: anyRules, least: fc.integer({ min: 1, max: 3 }) },
  { requiredKeys: [] },
);

describe('any plan of a retention', () => {
  it('removes nothing that is held or of the future, and of those that count keeps the newest whole', () => {
    fc.assert(
      fc.property(anyCheckpoints, anyPolicy, (checkpoints, policy) => {
        const decisions = planRetention(checkpoints, policy, NOW);
        const by = new Map(decisions.map((decision) => [decision.checkpoint, decision]));
        expect(by.size).toBe(checkpoints.length);
        const counts = (one: RetainedCheckpoint): boolean =>
          one.isWhole && one.instant <= NOW && Object.values(one.copies).some(({ isProven }) => isProven);
        const newest = checkpoints.filter(counts).toSorted((a, b) => b.instant - a.instant);
        const untouched = [
          ...checkpoints.filter(({ isHeld, instant }) => isHeld || instant > NOW + HOUR),
          ...newest.slice(0, policy.least ?? 1),
        ];
        for (const { id } of untouched) expect(by.get(id)?.action).toBe('keep');
        if (newest.length === 0) expect(decisions.every(({ action }) => action !== 'remove')).toBe(true);
      }),
    );
  });

  it('takes no kind of copy away unless another stays that is proven, or all go', () => {
    fc.assert(
      fc.property(anyCheckpoints, anyPolicy, (checkpoints, policy) => {
        const known = new Map(checkpoints.map((one) => [one.id, one]));
        for (const { checkpoint, action, kept: stay, removed } of planRetention(checkpoints, policy, NOW)) {
          const { copies } = known.get(checkpoint) ?? aged(0);
          expect([...removed, ...Object.keys(stay)].toSorted()).toEqual(Object.keys(copies).toSorted());
          if (action !== 'reduce') continue;
          for (const kind of removed) {
            expect(copies[kind]?.isCovered.some((other) => stay[other] !== undefined)).toBe(true);
          }
        }
      }),
    );
  });

  it('wants nothing more to go once it was carried out', () => {
    fc.assert(
      fc.property(anyCheckpoints, anyPolicy, (checkpoints, policy) => {
        const gone = new Set(
          planRetention(checkpoints, policy, NOW)
            .filter(({ action }) => action === 'remove')
            .map(({ checkpoint }) => checkpoint),
        );
        const left = checkpoints.filter(({ id }) => !gone.has(id));
        const again = planRetention(left, policy, NOW).filter(({ action }) => action === 'remove');
        expect(again).toEqual([]);
      }),
    );
  });
});
