import { expect } from 'vitest';
import type { Bank, Session, UsageRecord } from '../../../src/index.ts';
import { all } from './world.ts';

const call = { signal: new AbortController().signal };

/** Bytes that a bank lists under the tenant's keys. */
export async function listedBytes(bank: Bank, tenant: string): Promise<number> {
  const objects = await all(bank.list(`${tenant}/`, call));
  return objects.reduce((sum, { size }) => sum + size, 0);
}

/** Bytes that records tell of. */
export const storedIn = (records: readonly UsageRecord[]): number =>
  records.reduce((sum, { stored }) => sum + stored, 0);

/** The law: what the tenant's records tell of is what the bank lists, and each ended job has one record. */
export async function expectReconciled(acme: Session, bank: Bank, after: string): Promise<void> {
  const records = await all(acme.usage());
  expect(storedIn(records), `bytes stored, after ${after}`).toBe(await listedBytes(bank, acme.tenant));
  for (const { stored, banks } of records)
    expect(banks.reduce((sum, one) => sum + one.stored, 0)).toBe(stored);
  // What the bank lists, the records, and what counts against quotas are the same.
  const listed = (await all(acme.checkpoints.list())).filter(({ state }) => state !== 'removed');
  const sum = (field: 'stored' | 'checkpoints' | 'protected'): number =>
    records.reduce((total, record) => total + record[field], 0);
  expect(sum('checkpoints'), `checkpoints, after ${after}`).toBe(listed.length);
  const sizes = listed.map((checkpoint) => ('bytes' in checkpoint ? checkpoint.bytes : Number.NaN));
  expect(sum('protected'), `bytes protected, after ${after}`).toBe(sizes.reduce((a, b) => a + b, 0));
  const quota = await acme.quota();
  for (const field of ['stored', 'checkpoints', 'protected'] as const) {
    expect(quota[field], `${field}, after ${after}`).toMatchObject({ used: sum(field), reserved: 0 });
  }
  expect(quota.jobs.used, `jobs under way, after ${after}`).toBe(0);
  const jobs: string[] = [];
  for await (const { id } of acme.jobs.list()) {
    jobs.push(id);
    for await (const part of acme.jobs.list({ parent: id })) jobs.push(part.id);
  }
  expect(records.map(({ job }) => job).sort(), `records, after ${after}`).toEqual(jobs.sort());
}
