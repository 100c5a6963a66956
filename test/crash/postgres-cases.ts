import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { postgresStore } from '../../src/stores/postgres.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';
import { query, run } from '../lab/postgres/schemas.ts';
import type { CaseStore, TableRow } from './case-store.ts';

/** A schema in the PostgreSQL of the lab, called after the directory of the case. */
export function postgresCases(): CaseStore {
  const { url, skipped } = postgresLab();
  if (url === undefined) throw new Error(`no store postgres: ${skipped}`);
  const schemaOf = (directory: string): string =>
    `crash_${createHash('sha256').update(directory).digest('hex').slice(0, 24)}`;
  const open: CaseStore['open'] = (directory) =>
    postgresStore({ url, schema: schemaOf(directory), connections: 3 });
  const drop = (directory: string): Promise<void> =>
    run(url, `DROP SCHEMA IF EXISTS "${schemaOf(directory)}" CASCADE`);
  return {
    name: 'postgres',
    open,
    async copy(from, to) {
      await using store = open(to);
      await store.plans
        .list('nobody' as never)
        [Symbol.asyncIterator]()
        .next();
      const [source, copy] = [schemaOf(from), schemaOf(to)];
      await query(url, async (client) => {
        // References are not looked at: all rows are there in the end.
        await client.query('SET session_replication_role = replica');
        for (const table of await tablesOf(client, source)) {
          if (table === 'versions') continue;
          await client.query(
            `INSERT INTO "${copy}"."${table}" OVERRIDING SYSTEM VALUE SELECT * FROM "${source}"."${table}"`,
          );
        }
        await client.query(
          `SELECT setval(pg_get_serial_sequence('"${copy}".steps', 'position'), coalesce(max(position), 1))
           FROM "${copy}".steps`,
        );
      });
    },
    lose: drop,
    clear: drop,
    tables: (directory) =>
      query(url, async (client) => {
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
        const tables = new Map<string, readonly TableRow[]>();
        for (const table of await tablesOf(client, schemaOf(directory))) {
          // A row that is written again may come at another place.
          const sql = `SELECT * FROM "${schemaOf(directory)}"."${table}" AS r ORDER BY r::text`;
          tables.set(table, (await client.query<TableRow>(sql)).rows);
        }
        return tables;
      }),
  };
}

async function tablesOf(client: Client, schema: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ tablename: string }>(
    'SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY tablename',
    [schema],
  );
  return rows.map(({ tablename }) => tablename);
}
