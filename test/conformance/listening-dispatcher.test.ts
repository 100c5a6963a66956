import { describe, it } from 'vitest';
import { listening } from '../../src/stores/postgres/listening.ts';
import { PooledDatabase } from '../../src/stores/postgres/pooled-database.ts';
import { dispatcherSuite } from '../../src/testing/dispatcher-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { dispatchersOn } from '../lab/postgres/dispatchers.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';

const { url = '', skipped } = postgresLab();

const suite = dispatcherSuite({
  name: 'LISTEN and NOTIFY',
  create: () =>
    dispatchersOn(url, async (schema) => {
      const database = new PooledDatabase({ url, schema, connections: 1 });
      const dispatcher = listening(database);
      const close = async () => {
        await dispatcher.close();
        await database.close();
      };
      return { ...dispatcher, close };
    }),
});

describe.skipIf(skipped !== undefined)(`on a server${skipped ? ` (${skipped})` : ''}`, () => {
  registerSuite(suite, { describe, it });
});
