import type { Client, Pool, PoolConfig } from 'pg';
import { FafnirError } from '../../core/errors.ts';
import { storeClosed } from '../records.ts';
import type { Row } from '../rows.ts';
import { type Database, qualified, type Queries } from './database.ts';
import { storeError } from './errors.ts';
import { bringUpToDate } from './schema.ts';

/** Where the tables are, and how many connections may be used. */
export interface PooledDatabaseOptions {
  readonly url: string;
  readonly schema: string;
  readonly connections: number;
}

const CONNECT_TIMEOUT = 10_000;
// A host that stands still in the middle of a transaction loses what it has locked, before those that wait give up.
const IDLE_TIMEOUT = 5_000;
const LOCK_TIMEOUT = 10_000;
// A server that does not answer any more must not keep a worker for longer than its lease.
const QUERY_TIMEOUT = 30_000;

// What a store promises must not hang on how the server or the user is configured.
const SETTINGS = `SELECT set_config('default_transaction_isolation', 'read committed', false),
  set_config('default_transaction_read_only', 'off', false),
  set_config('lock_timeout', '${LOCK_TIMEOUT}', false),
  set_config('idle_in_transaction_session_timeout', '${IDLE_TIMEOUT}', false),
  CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
    THEN set_config('synchronous_commit', 'on', false) END`;

/** Connections of its own, made when they are needed; the schema is brought up to date before the first call. */
export class PooledDatabase implements Database {
  readonly schema: string;
  readonly #config: PoolConfig;
  readonly #where: string;
  #pool: Promise<Pool> | undefined;
  #closing: Promise<void> | undefined;

  constructor({ url, schema, connections }: PooledDatabaseOptions) {
    this.schema = schema;
    this.#where = `job store ${schema} of ${new URL(url).host}`;
    this.#config = {
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      query_timeout: QUERY_TIMEOUT,
      keepAlive: true,
      fallback_application_name: 'fafnir',
      // An engine that is not closed keeps its process no longer than its work does.
      allowExitOnIdle: true,
    };
  }

  /** Resolves when the tables are there. */
  async open(): Promise<void> {
    await this.#guarded(() => this.#opened());
  }

  async all(sql: string, ...values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#guarded(async () => {
      const pool = await this.#opened();
      return (await pool.query(qualified(sql, this.schema), [...values])).rows;
    });
  }

  async transaction<Result>(body: (queries: Queries) => Promise<Result>): Promise<Result> {
    return this.#guarded(async () => transactionOn(await this.#opened(), this.schema, body));
  }

  /** A connection for as long as a caller wants; it is not one of those that calls share. */
  async connect(): Promise<Client> {
    return this.#guarded(async () => {
      await this.#opened();
      const { Client: Connection } = await loadClient();
      const client = new Connection(this.#config);
      await client.connect();
      return client;
    });
  }

  async close(): Promise<void> {
    this.#closing ??= this.#end();
    await this.#closing;
  }

  async #end(): Promise<void> {
    const pool = await this.#pool?.catch(() => undefined);
    await pool?.end();
  }

  #opened(): Promise<Pool> {
    if (this.#closing !== undefined) throw storeClosed();
    if (this.#pool === undefined) {
      const opening = openPool(this.#config, this.schema);
      this.#pool = opening;
      // The next call tries again.
      opening.catch(() => {
        if (this.#pool === opening) this.#pool = undefined;
      });
    }
    return this.#pool;
  }

  async #guarded<Result>(body: () => Promise<Result>): Promise<Result> {
    try {
      return await body();
    } catch (error) {
      throw this.#closing === undefined || FafnirError.is(error)
        ? storeError(this.#where, error)
        : storeClosed();
    }
  }
}

async function openPool(config: PoolConfig, schema: string): Promise<Pool> {
  const { Pool: Connections } = await loadClient();
  const pool = new Connections({
    ...config,
    // The pool waits for it; its types do not know.
    onConnect: (client) => client.query(SETTINGS) as unknown as undefined,
  });
  // A connection that ends while nobody uses it: the next call makes another.
  pool.on('error', () => undefined);
  try {
    await bringUpToDate({
      schema,
      all: async (sql, ...values) => (await pool.query(qualified(sql, schema), [...values])).rows,
      transaction: (body) => transactionOn(pool, schema, body),
    });
    return pool;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

async function transactionOn<Result>(
  pool: Pool,
  schema: string,
  body: (queries: Queries) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let failure: Error | undefined;
  // Else a connection that ends between two statements would end the process; the next statement tells.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  try {
    await client.query('BEGIN');
    const result = await body({
      all: async (sql, ...values) => (await client.query(qualified(sql, schema), [...values])).rows,
    });
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((reason: Error) => {
      failure = reason;
    });
    throw error;
  } finally {
    client.off('error', ignore);
    // One that could not even be rolled back is not used again.
    client.release(failure);
  }
}

async function loadClient(): Promise<typeof import('pg')> {
  try {
    return await import('pg');
  } catch (cause) {
    throw new FafnirError('UNSUPPORTED', 'a PostgreSQL job store needs the package pg', {
      cause,
      hint: 'Add it to the host: npm install pg',
    });
  }
}
