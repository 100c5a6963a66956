import type { Row } from '../rows.ts';

/**
 * What statements run on. In their text `@jobs` is the store's table of that name, in the schema that it is in; values
 * are `$1`, `$2` and so on.
 */
export interface Queries {
  /** The rows of a query, or those that a write returns. */
  all(sql: string, ...values: readonly unknown[]): Promise<readonly Row[]>;
}

/** A store's tables, by way of some connection. Its errors are the package's own. */
export interface Database extends Queries {
  /** The schema that the tables are in. */
  readonly schema: string;
  /** Runs `body` in a transaction: its writes are durable once this has resolved, and undone if it rejects. */
  transaction<Result>(body: (queries: Queries) => Promise<Result>): Promise<Result>;
  /** Later calls reject with `CLOSED`; may be repeated. */
  close(): Promise<void>;
}

/** A text with `@table` as the name of the table in the schema. */
export const qualified = (sql: string, schema: string): string => sql.replace(/@(?=[a-z])/g, `"${schema}".`);
