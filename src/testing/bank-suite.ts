import assert from 'node:assert/strict';
import type { Bank, BankCapabilities } from '../core/contracts/index.ts';
import { CREATION, REMOVAL } from './bank/creation-and-removal.ts';
import { LISTS } from './bank/lists.ts';
import { OBJECTS } from './bank/objects.ts';
import { MEBIBYTE, type Obligation } from './bank/obligation.ts';
import { ABORTS, KEYS } from './bank/refusals.ts';
import type { Suite } from './suite.ts';

/** A bank that belongs to one case. */
export interface BankUnderTest {
  /** Empty. */
  readonly bank: Bank;
  /** Removes what the case left. */
  dispose(): Promise<void>;
}

/** Options of {@link bankSuite}. */
export interface BankSuiteOptions {
  /** The implementation, such as `filesystemBank`. */
  readonly name: string;
  /** What the bank declares, since cases that do not apply are skipped before there is a bank. Default: `atomic`. */
  readonly conditionalCreate?: BankCapabilities['conditionalCreate'];
  /** A fresh bank. */
  create(): Promise<BankUnderTest>;
}

/** The obligations of the Bank contract. */
export function bankSuite({ name, conditionalCreate = 'atomic', create }: BankSuiteOptions): Suite {
  const declares: Obligation = {
    name: 'declares its facts, frozen',
    async run(bank) {
      assert.equal(bank.contract, 1);
      assert.notEqual(bank.name, '');
      assert.equal(bank.capabilities.conditionalCreate, conditionalCreate, 'the suite was told another');
      assert.ok(bank.capabilities.objectSize >= 64 * MEBIBYTE);
      assert.ok(Object.isFrozen(bank.capabilities));
    },
  };
  const lacks = ({ needs }: Obligation): boolean =>
    (needs === 'atomic' && conditionalCreate !== 'atomic') || (!!needs && conditionalCreate === 'none');
  const cases = [declares, ...OBJECTS, ...CREATION, ...LISTS, ...REMOVAL, ...KEYS, ...ABORTS].map(
    (obligation) => ({
      name: obligation.name,
      ...(lacks(obligation) ? { skip: `conditionalCreate is ${conditionalCreate}` } : {}),
      async run(): Promise<void> {
        const { bank, dispose } = await create();
        try {
          await obligation.run(bank);
        } finally {
          await dispose();
        }
      },
    }),
  );
  return { name: `Bank: ${name}`, cases };
}
