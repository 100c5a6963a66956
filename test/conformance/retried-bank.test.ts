import { describe, it } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import { retried } from '../../src/banks/wrappers/retried.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = bankSuite({
  name: 'retried memoryBank',
  create: async () => ({
    bank: retried(memoryBank({ name: 'memory' })),
    dispose: async () => undefined,
  }),
});

registerSuite(suite, { describe, it });
