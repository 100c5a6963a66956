import assert from 'node:assert/strict';
import { systemClock } from '../core/clock.ts';
import type { Bank, BankCapabilities, Clock } from '../core/contracts/index.ts';
import { CREATION, REMOVAL } from './bank/creation-and-removal.ts';
import { LISTS } from './bank/lists.ts';
import { LOCKS } from './bank/locks.ts';
import { OBJECTS } from './bank/objects.ts';
import { MEBIBYTE, type Obligation } from './bank/obligation.ts';
import { ABORTS, KEYS } from './bank/refusals.ts';
import type { Suite } from './suite.ts';

/** A bank that belongs to one case. */
export interface BankUnderTest {
  /** Empty. */
  readonly bank: Bank;
  /** What its locks go by. Cases sleep on it for some seconds. Default: the machine's. */
  readonly clock?: Pick<Clock, 'now' | 'sleep'>;
  /** Removes what the case left. */
  dispose(): Promise<void>;
}

/** Options of {@link bankSuite}. */
export interface BankSuiteOptions {
  /** The implementation, such as `filesystemBank`. */
  readonly name: string;
  /** What the bank declares, since cases that do not apply are skipped before there is a bank. Default: `atomic`. */
  readonly conditionalCreate?: BankCapabilities['conditionalCreate'];
  /** The same of locks. Default: false. */
  readonly locks?: boolean;
  /** A fresh bank. */
  create(): Promise<BankUnderTest>;
}

/** The obligations of the Bank contract. */
export function bankSuite({
  name,
  conditionalCreate = 'atomic',
  locks = false,
  create,
}: BankSuiteOptions): Suite {
  const declares: Obligation = {
    name: 'declares its facts, frozen',
    async run(bank) {
      assert.equal(bank.contract, 1);
      assert.notEqual(bank.name, '');
      assert.equal(bank.capabilities.conditionalCreate, conditionalCreate, 'the suite was told another');
      assert.ok(bank.capabilities.objectSize >= 64 * MEBIBYTE);
      assert.equal(bank.capabilities.locks, locks, 'the suite was told another');
      assert.equal(bank.extend !== undefined, locks, 'extend is there exactly where there are locks');
      assert.ok(Object.isFrozen(bank.capabilities));
    },
  };
  const skipOf = ({ needs, locks: about = locks }: Obligation): { readonly skip?: string } => {
    const lacks =
      (needs === 'atomic' && conditionalCreate !== 'atomic') || (!!needs && conditionalCreate === 'none');
    if (lacks) return { skip: `conditionalCreate is ${conditionalCreate}` };
    return about === locks ? {} : { skip: `locks is ${locks}` };
  };
  const all = [declares, ...OBJECTS, ...CREATION, ...LISTS, ...REMOVAL, ...LOCKS, ...KEYS, ...ABORTS];
  const cases = all.map((obligation) => ({
    name: obligation.name,
    ...skipOf(obligation),
    async run(): Promise<void> {
      const { bank, clock = systemClock, dispose } = await create();
      try {
        await obligation.run(bank, clock);
      } finally {
        await dispose();
      }
    },
  }));
  return { name: `Bank: ${name}`, cases };
}
