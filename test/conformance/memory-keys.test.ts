import { describe, it } from 'vitest';
import { keyProviderSuite } from '../../src/testing/key-provider-suite.ts';
import { memoryKeys } from '../../src/testing/memory-keys.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = keyProviderSuite({
  name: 'memoryKeys',
  rotates: false,
  create: async () => ({ provider: memoryKeys(), dispose: async () => undefined }),
});

registerSuite(suite, { describe, it });
