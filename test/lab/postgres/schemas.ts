import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

/** A name for a schema that does not exist yet, and what removes the schema that was made of it. */
export interface FreshSchema {
  readonly name: string;
  drop(): Promise<void>;
}

/** A name that nobody else has. */
export async function freshSchema(url: string): Promise<FreshSchema> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  return { name, drop: () => run(url, `DROP SCHEMA IF EXISTS "${name}" CASCADE`) };
}

/** Runs statements, by a connection of their own. */
export async function run(url: string, ...statements: readonly string[]): Promise<void> {
  await query(url, async (client) => {
    for (const sql of statements) await client.query(sql);
  });
}

/** Works with a connection, and closes it. */
export async function query<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
