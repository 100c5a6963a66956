import { describe, it } from 'vitest';
import { memoryBank } from '../../src/banks/memory.ts';
import { measured } from '../../src/banks/wrappers/measured.ts';
import { diagnosticsObserver } from '../../src/core/observer.ts';
import { bankSuite } from '../../src/testing/bank-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = bankSuite({
  name: 'measured memoryBank',
  create: async () => ({
    bank: measured(memoryBank({ name: 'memory' }), diagnosticsObserver()),
    dispose: async () => undefined,
  }),
});

registerSuite(suite, { describe, it });
