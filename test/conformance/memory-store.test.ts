import { describe, it } from 'vitest';
import { memoryStore } from '../../src/stores/memory.ts';
import { jobStoreSuite } from '../../src/testing/job-store-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = jobStoreSuite({
  name: 'memoryStore',
  durable: false,
  create: async () => {
    const store = memoryStore();
    return { store, dispose: () => store.close() };
  },
});

registerSuite(suite, { describe, it });
