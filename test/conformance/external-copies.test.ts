import * as runner from 'vitest';
import { externalCopiesSuite } from '../../src/testing/external-copies-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { writableFiles } from '../arrays/writable-files.ts';
import { ExternalStore } from '../core/engine/external-store.ts';

const suite = await externalCopiesSuite({
  name: 'a store in memory',
  async create() {
    const store = new ExternalStore(new Map());
    const spoil = async (): Promise<void> => {
      store.restored = (bytes) => Buffer.alloc(bytes.length);
    };
    const leave = async (...of: Parameters<ExternalStore['leave']>): Promise<void> => store.leave(...of);
    return { ...(await writableFiles()), store, leave, spoil };
  },
});
registerSuite(suite, runner);
