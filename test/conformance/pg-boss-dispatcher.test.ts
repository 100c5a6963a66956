import { describe, it } from 'vitest';
import { pgBossDispatcher } from '../../src/dispatchers/pg-boss.ts';
import { dispatcherSuite } from '../../src/testing/dispatcher-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { dispatchersOn } from '../lab/postgres/dispatchers.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';

const { url = '', skipped } = postgresLab();

const suite = dispatcherSuite({
  name: 'pg-boss',
  create: () => dispatchersOn(url, async (schema) => pgBossDispatcher({ url, schema, pollingSeconds: 0.5 })),
});

describe.skipIf(skipped !== undefined)(`on a server${skipped ? ` (${skipped})` : ''}`, () => {
  registerSuite(suite, { describe, it });
});
