import { describe, expect, it } from 'vitest';
import type { JobId, JobUsage, PlanId, TenantId, UsageRecord } from '../../../src/core/contracts/index.ts';
import { joinUsage, NOTHING_USED, sumUsage } from '../../../src/core/policy/metering.ts';

const NO_CHECKPOINTS = { checkpoints: 0, protected: 0 };

const record = (changes: Partial<UsageRecord>): UsageRecord => ({
  ...NOTHING_USED,
  job: 'job-1' as JobId,
  tenant: 'acme' as TenantId,
  actor: 'ops',
  operation: 'protect',
  state: 'succeeded',
  createdAt: 0,
  startedAt: 1_000,
  endedAt: 3_000,
  ...changes,
});
const used = (changes: Partial<JobUsage>): JobUsage => ({ ...NOTHING_USED, ...changes });

describe('joinUsage', () => {
  it('adds what was counted, and keeps the latest of what the job is about', () => {
    const earlier = used({
      provider: 'gold',
      logical: 100,
      changed: 1,
      banks: [
        { bank: 'a', stored: 5, corrected: 0, ...NO_CHECKPOINTS },
        { bank: 'c', stored: 7, corrected: 0, ...NO_CHECKPOINTS },
      ],
      calls: { arrays: 1, banks: 2 },
    });
    const later = used({
      plan: 'p1' as PlanId,
      logical: 100,
      changed: 2,
      array: -3,
      banks: [
        { bank: 'b', stored: 11, corrected: 4, ...NO_CHECKPOINTS },
        { bank: 'c', stored: -7, corrected: 0, ...NO_CHECKPOINTS },
      ],
      calls: { arrays: 10, banks: 20 },
      isWhole: false,
    });
    expect(joinUsage(earlier, later)).toEqual({
      provider: 'gold',
      plan: 'p1',
      checkpoint: null,
      logical: 100,
      changed: 3,
      array: -3,
      stored: 16,
      ...NO_CHECKPOINTS,
      banks: [
        { bank: 'a', stored: 5, corrected: 0, ...NO_CHECKPOINTS },
        { bank: 'b', stored: 11, corrected: 4, ...NO_CHECKPOINTS },
      ],
      calls: { arrays: 11, banks: 22 },
      isWhole: false,
    });
  });

  it('counts the checkpoints that a job made once, however often it says so', () => {
    const made = { bank: 'a', stored: 2, corrected: 0, checkpoints: 1, protected: 7 };
    const [earlier, later] = [used({ banks: [made] }), used({ banks: [made] })];
    const joined = joinUsage(earlier, later);
    expect(joined).toMatchObject({ checkpoints: 1, protected: 7, banks: [{ ...made, stored: 4 }] });
    const more = used({ banks: [{ ...made, ...NO_CHECKPOINTS }] });
    expect(joinUsage(earlier, more)).toMatchObject({ checkpoints: 1, protected: 7 });
    expect(joinUsage(more, earlier)).toMatchObject({ checkpoints: 1, protected: 7 });
  });

  it('with nothing is what it was', () => {
    const some = used({
      provider: 'gold',
      stored: 3,
      banks: [{ bank: 'a', stored: 3, corrected: 0, ...NO_CHECKPOINTS }],
    });
    expect(joinUsage(some, NOTHING_USED)).toEqual(some);
    expect(joinUsage(NOTHING_USED, some)).toEqual(some);
  });
});

describe('sumUsage', () => {
  it('sums by tenant and month, each in the order in which it was met', async () => {
    const records = [
      record({ endedAt: Date.UTC(2026, 0, 31, 23, 59, 59, 999), stored: 5 }),
      record({ endedAt: Date.UTC(2026, 1, 1), stored: 7 }),
      record({ endedAt: Date.UTC(2026, 0, 1), stored: -2, tenant: 'other' as TenantId }),
      record({ endedAt: Date.UTC(2026, 0, 2), stored: 11 }),
    ];
    const sums = await sumUsage(records, ['tenant', 'month']);
    expect(sums.map(({ key, jobs, stored }) => [...key, jobs, stored])).toEqual([
      ['acme', '2026-01', 2, 16],
      ['acme', '2026-02', 1, 7],
      ['other', '2026-01', 1, -2],
    ]);
  });

  it('counts parts in bytes and calls, and neither as jobs nor in time', async () => {
    const part = record({
      parent: 'job-1' as JobId,
      changed: 3,
      calls: { arrays: 1, banks: 2 },
      isWhole: false,
    });
    const whole = record({ changed: 4, logical: 9, array: 9, calls: { arrays: 10, banks: 20 } });
    expect(await sumUsage([part, whole], [])).toEqual([
      {
        key: [],
        jobs: 1,
        milliseconds: 2_000,
        logical: 9,
        changed: 7,
        array: 9,
        stored: 0,
        ...NO_CHECKPOINTS,
        arrayCalls: 11,
        bankCalls: 22,
        inPart: 1,
      },
    ]);
  });

  it('tells jobs without a plan from one that is called so, and never a negative time', async () => {
    const records = [record({ plan: null }), record({ plan: 'null' as PlanId, endedAt: 0 })];
    const sums = await sumUsage(records, ['plan', 'operation', 'provider']);
    expect(sums.map(({ key, milliseconds }) => [key, milliseconds])).toEqual([
      [[null, 'protect', null], 2_000],
      [['null', 'protect', null], 0],
    ]);
  });

  it('of nothing is nothing', async () => {
    expect(await sumUsage([], ['tenant'])).toEqual([]);
  });
});
