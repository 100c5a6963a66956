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
  const jobs: string[] = [];
  for await (const { id } of acme.jobs.list()) {
    jobs.push(id);
    for await (const part of acme.jobs.list({ parent: id })) jobs.push(part.id);
  }
  expect(records.map(({ job }) => job).sort(), `records, after ${after}`).toEqual(jobs.sort());
}
