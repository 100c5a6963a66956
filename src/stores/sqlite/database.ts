import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { storeClosed } from '../records.ts';
import type { Row } from '../rows.ts';
import { storeError } from './errors.ts';
import { openDatabase } from './open.ts';

/** One connection, opened at first use, with its prepared statements. Its errors are the package's own. */
export class Database {
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();
  #database: DatabaseSync | undefined;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** The rows of a query, or those that a write returns. */
  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#guarded(() => this.#prepare(sql).all(...values));
  }

  /** Runs a write; how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#guarded(() => Number(this.#prepare(sql).run(...values).changes));
  }

  /** Runs `body` under the write lock; its writes are durable once this has returned, and undone if it throws. */
  transaction<Result>(body: () => Result): Result {
    const database = this.#open();
    return this.#guarded(() => {
      this.#prepare('BEGIN IMMEDIATE').run();
      try {
        const result = body();
        this.#prepare('COMMIT').run();
        return result;
      } catch (error) {
        // Some failures, such as a full disk, have rolled back already.
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** Releases the file; may be repeated. */
  close(): void {
    this.#closed = true;
    this.#statements.clear();
    const database = this.#database;
    this.#database = undefined;
    this.#guarded(() => database?.close());
  }

  #open(): DatabaseSync {
    if (this.#closed) throw storeClosed();
    this.#database ??= openDatabase(this.#path);
    return this.#database;
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#open().prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #guarded<Result>(body: () => Result): Result {
    try {
      return body();
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }
}
