import type { Dispatcher } from '../../../src/core/contracts/index.ts';
import type { DispatcherSubject } from '../../../src/testing/dispatcher-suite.ts';
import { freshSchema, query } from './schemas.ts';

/** Dispatchers on a schema of their own, which is dropped in the end. */
export async function dispatchersOn(
  url: string,
  open: (schema: string) => Promise<Dispatcher>,
): Promise<DispatcherSubject> {
  const schema = await freshSchema(url);
  return {
    open: () => open(schema.name),
    transaction: (body) =>
      query(url, async (client) => {
        await client.query('BEGIN');
        await body({ query: (sql, values) => client.query(sql, [...values]) });
        await client.query('COMMIT');
      }),
    dispose: () => schema.drop(),
  };
}
