import { describe, expect, it } from 'vitest';
import type { JobStore } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { jobStoreSuite } from '../../src/testing/job-store-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import { BROKEN_AUDITS } from './broken-audits.ts';
import { BROKEN_NOTIFICATIONS } from './broken-notifications.ts';
import { BROKEN_PLANS } from './broken-plans.ts';
import { BROKEN_QUOTAS } from './broken-quotas.ts';
import { BROKEN_SCHEDULES } from './broken-schedules.ts';
import { BROKEN_TEMPLATES } from './broken-templates.ts';
import { BROKEN_STORES, FORGETFUL_STORE, soundLeases } from './broken-stores.ts';

async function run(make: () => JobStore): Promise<SuiteReport> {
  const create = async () => {
    const store = make();
    return { store, dispose: () => store.close() };
  };
  return runSuite(jobStoreSuite({ name: 'a double', durable: false, create }));
}

describe('the suite of job stores', () => {
  it('names each obligation once', () => {
    const create = () => Promise.reject(new Error('not run'));
    const names = jobStoreSuite({ name: 'none', durable: true, create }).cases.map((one) => one.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(40);
  });

  it('skips a second handle, with a reason, where the store is not durable', async () => {
    const { failed, skipped } = await run(memoryStore);
    expect(failed).toEqual([]);
    expect(skipped.length).toBeGreaterThan(0);
    for (const { reason } of skipped) expect(reason).toMatch(/ends with its handle/);
  });

  it('fails a store that calls itself durable and cannot be reopened', async () => {
    const create = async () => {
      const store = memoryStore();
      return { store, dispose: () => store.close() };
    };
    const { failed } = await runSuite(jobStoreSuite({ name: 'a double', durable: true, create }));
    expect(failed.length).toBeGreaterThan(0);
    for (const { error } of failed) expect(String(error)).toMatch(/can be reopened/);
  });

  it('finds nothing in the double that the broken leases are made of', async () => {
    expect((await run(soundLeases)).failed).toEqual([]);
  });

  it.each([
    ...BROKEN_STORES,
    FORGETFUL_STORE,
    ...BROKEN_PLANS,
    ...BROKEN_QUOTAS,
    ...BROKEN_SCHEDULES,
    ...BROKEN_TEMPLATES,
    ...BROKEN_AUDITS,
    ...BROKEN_NOTIFICATIONS,
  ])('catches a store that forgets $forgets', async ({ create, foundBy }) => {
    const { passed, failed } = await run(create);
    const names = failed.map(({ name }) => name);
    for (const part of foundBy) expect(names).toContainEqual(expect.stringContaining(part));
    expect(passed.length).toBeGreaterThan(names.length);
  });
});
