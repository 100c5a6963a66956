import { expect, test } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import { racingBank, unorderedBank } from './broken-banks.ts';

async function failures(make: () => Bank): Promise<string[]> {
  const report = await run(make);
  return report.failed.map(({ name }) => name);
}

function run(make: () => Bank, conditionalCreate?: 'best-effort' | 'none'): Promise<SuiteReport> {
  const create = async () => ({ bank: make(), dispose: async () => undefined });
  return runSuite(bankSuite({ name: 'a bank', create, ...(conditionalCreate && { conditionalCreate }) }));
}

test('a sound bank passes every case', async () => {
  const report = await run(() => memoryBank({ name: 'sound' }));
  expect(report.failed).toEqual([]);
  expect(report.skipped).toEqual([]);
  expect(report.passed.length).toBeGreaterThan(30);
});

test('a bank that ignores order fails the cases about order, and no other', async () => {
  expect(await failures(unorderedBank)).toEqual([
    'lists keys in the order of their bytes',
    'lists 1,100 objects once each, and goes on from any of them',
  ]);
});

test('a bank whose create-if-absent is not atomic fails the race, and no other', async () => {
  expect(await failures(racingBank)).toEqual([
    'lets one of many concurrent puts with ifAbsent create the object',
  ]);
});

test('cases that a bank does not claim are skipped by name, and a wrong claim is a failure', async () => {
  const weaker = await run(racingBank, 'best-effort');
  expect(weaker.skipped.map(({ name }) => name)).toEqual([
    'lets one of many concurrent puts with ifAbsent create the object',
  ]);
  expect(weaker.failed.map(({ name }) => name)).toEqual(['declares its facts, frozen']);
  expect((await run(racingBank, 'none')).skipped).toHaveLength(3);
});
