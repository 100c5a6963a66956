import { expect, test } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import type { Bank } from '../../src/core/contracts/index.ts';
import { type BankSuiteOptions, bankSuite } from '../../src/testing/bank-suite.ts';
import { runSuite, type SuiteReport } from '../../src/testing/suite.ts';
import { lockClock } from '../banks/lock-clock.ts';
import { deafBank, forgetfulBank, racingBank, unorderedBank } from './broken-banks.ts';

async function failures(make: () => Bank): Promise<string[]> {
  const report = await run(make);
  return report.failed.map(({ name }) => name);
}

function run(
  make: () => Bank,
  claims: Pick<BankSuiteOptions, 'conditionalCreate' | 'locks'> = {},
): Promise<SuiteReport> {
  const create = async () => ({ bank: make(), dispose: async () => undefined });
  return runSuite(bankSuite({ name: 'a bank', create, ...claims }));
}

/** Runs the suite with a bank whose locks go by a clock on which nobody waits. */
function runLocking(make: (sound: Bank) => Bank): Promise<SuiteReport> {
  const create = async () => {
    const clock = lockClock();
    const bank = make(memoryBank({ name: 'locking', locks: true, clock }));
    return { bank, clock, dispose: async () => undefined };
  };
  return runSuite(bankSuite({ name: 'a bank', create, locks: true }));
}

const WITHOUT_LOCKS = 'refuses to lock with UNSUPPORTED, and does nothing';

test('a sound bank passes every case that applies', async () => {
  const plain = await run(() => memoryBank({ name: 'sound' }));
  expect(plain.failed).toEqual([]);
  expect(plain.passed.length).toBeGreaterThan(30);
  const locking = await runLocking((sound) => sound);
  expect(locking.failed).toEqual([]);
  expect(locking.skipped.map(({ name }) => name)).toEqual([WITHOUT_LOCKS]);
  expect(plain.skipped).toHaveLength(6);
  expect(plain.skipped.length + plain.passed.length).toBe(locking.passed.length + 1);
});

test.each([
  ['forgets locks', forgetfulBank, 2],
  ['does not extend locks', deafBank, 3],
])('a bank that %s fails cases about locks, and no other', async (_does, broken, cases) => {
  const { failed } = await runLocking(broken);
  expect(failed).toHaveLength(cases);
  for (const { name } of failed) expect(name).toMatch(/lock/);
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
  const weaker = await run(racingBank, { conditionalCreate: 'best-effort' });
  expect(weaker.skipped.map(({ name }) => name).filter((name) => !name.includes('lock'))).toEqual([
    'lets one of many concurrent puts with ifAbsent create the object',
  ]);
  expect(weaker.failed.map(({ name }) => name)).toEqual(['declares its facts, frozen']);
  expect((await run(racingBank, { conditionalCreate: 'none' })).skipped).toHaveLength(9);
  expect((await run(racingBank, { locks: true })).failed.map(({ name }) => name)).toContain(
    'declares its facts, frozen',
  );
});
