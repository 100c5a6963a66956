import { describe, it } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import { limited, measured, prefixed, retried } from '../../src/banks/wrappers/index.ts';
import { diagnosticsObserver } from '../../src/core/observer.ts';
import type { Bank } from '../../src/index.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { lockClock } from '../banks/lock-clock.ts';

const bare = (bank: Bank): Bank => bank;
const wrapped = (bank: Bank): Bank =>
  retried(limited(measured(prefixed(bank, 'a'), diagnosticsObserver()), { concurrency: 2 }));

for (const wrap of [bare, wrapped]) {
  const create = async () => {
    const clock = lockClock();
    const bank = wrap(memoryBank({ name: 'memory', locks: true, clock }));
    return { bank, clock, dispose: async () => undefined };
  };
  const suite = bankSuite({ name: `${wrap.name} memoryBank with locks`, locks: true, create });
  // The prefix takes part of the 512 characters.
  const fits = ({ name }: { name: string }) =>
    wrap === bare || name !== 'takes every key that the contract allows';
  registerSuite({ ...suite, cases: suite.cases.filter(fits) }, { describe, it });
}
