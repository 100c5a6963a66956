import { describe, it } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import { limited } from '../../src/banks/wrappers/limited.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = bankSuite({
  name: 'limited memoryBank',
  create: async () => ({
    bank: limited(memoryBank({ name: 'memory' }), { concurrency: 2, bytesPerSecond: 1024 ** 4 }),
    dispose: async () => undefined,
  }),
});

registerSuite(suite, { describe, it });
