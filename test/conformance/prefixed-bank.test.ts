import { describe, it } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import { prefixed } from '../../src/banks/wrappers/prefixed.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = bankSuite({
  name: 'prefixed memoryBank',
  create: async () => ({
    bank: prefixed(memoryBank({ name: 'memory' }), 'some/folder'),
    dispose: async () => undefined,
  }),
});
const skip = 'the prefix takes part of the 512 characters';
const cases = suite.cases.map((one) =>
  one.name === 'takes every key that the contract allows' ? { ...one, skip } : one,
);

registerSuite({ ...suite, cases }, { describe, it });
