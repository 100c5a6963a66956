import { describe, it } from 'vitest';
import { postgresStore } from '../../src/stores/postgres.ts';
import { jobStoreSuite } from '../../src/testing/job-store-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';
import { freshSchema } from '../lab/postgres/schemas.ts';

const { url = '', skipped } = postgresLab();

const suite = jobStoreSuite({
  name: 'postgresStore',
  durable: true,
  create: async () => {
    const schema = await freshSchema(url);
    const store = postgresStore({ url, schema: schema.name, connections: 3 });
    const reopen = async () => postgresStore({ url, schema: schema.name, connections: 3 });
    const dispose = async () => {
      await store.close();
      await schema.drop();
    };
    return { store, reopen, dispose };
  },
});

describe.skipIf(skipped !== undefined)(`on a server${skipped ? ` (${skipped})` : ''}`, () => {
  registerSuite(suite, { describe, it });
});
