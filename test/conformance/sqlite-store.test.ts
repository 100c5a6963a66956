import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import { jobStoreSuite } from '../../src/testing/job-store-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';

const suite = jobStoreSuite({
  name: 'sqliteStore',
  durable: true,
  create: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'fafnir-store-'));
    const path = join(directory, 'fafnir.db');
    const store = sqliteStore(path);
    const reopen = async () => sqliteStore({ path });
    const dispose = async () => {
      await store.close();
      await rm(directory, { recursive: true });
    };
    return { store, reopen, dispose };
  },
});

registerSuite(suite, { describe, it });
