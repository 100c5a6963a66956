import { describe, it } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = bankSuite({
  name: 'memoryBank',
  create: async () => ({ bank: memoryBank({ name: 'memory' }), dispose: async () => undefined }),
});

registerSuite(suite, { describe, it });
