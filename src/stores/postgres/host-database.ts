import { storeClosed } from '../records.ts';
import type { Row } from '../rows.ts';
import { type Database, qualified, type Queries } from './database.ts';
import { storeError } from './errors.ts';

/** The part of a client of the package `pg` that a store uses of a host's: a `Client`, or one that a `Pool` lent. */
export interface PostgresClient {
  /** Runs one statement. */
  query(
    text: string,
    values: unknown[],
  ): Promise<{
    /** The rows of its answer, by column. */
    readonly rows: readonly Record<string, unknown>[];
  }>;
}

/**
 * A transaction that a host has begun and will end. What fails here is undone to where it began, so that the host's
 * own transaction goes on.
 */
export class HostDatabase implements Database {
  readonly schema: string;
  readonly #client: PostgresClient;
  readonly #opened: () => Promise<void>;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(client: PostgresClient, schema: string, opened: () => Promise<void>) {
    this.#client = client;
    this.schema = schema;
    this.#opened = opened;
  }

  async all(sql: string, ...values: readonly unknown[]): Promise<readonly Row[]> {
    return this.transaction((queries) => queries.all(sql, ...values));
  }

  /** One after the other: savepoints of a connection are nested, never beside each other. */
  async transaction<Result>(body: (queries: Queries) => Promise<Result>): Promise<Result> {
    const mine = this.#last.then(() => this.#savepoint(body));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
  }

  async #savepoint<Result>(body: (queries: Queries) => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw storeClosed();
    const client = this.#client;
    try {
      await this.#opened();
      await client.query('SAVEPOINT fafnir', []);
      try {
        return await body({
          all: async (sql, ...values) => (await client.query(qualified(sql, this.schema), [...values])).rows,
        });
      } catch (error) {
        await client.query('ROLLBACK TO SAVEPOINT fafnir', []);
        throw error;
      } finally {
        await client.query('RELEASE SAVEPOINT fafnir', []);
      }
    } catch (error) {
      throw storeError(`job store ${this.schema}`, error);
    }
  }
}
