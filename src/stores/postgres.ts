import * as z from 'zod';
import type { Dispatcher, JobStore } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { HostDatabase, type PostgresClient } from './postgres/host-database.ts';
import { jobStoreOn } from './postgres/jobs.ts';
import { listening } from './postgres/listening.ts';
import { PooledDatabase } from './postgres/pooled-database.ts';

export type { PostgresClient };

/** Where a PostgreSQL job store is. */
export interface PostgresStoreOptions {
  /** The database, such as `postgres://user:password@host:5432/database`; with `?sslmode=verify-full`, by TLS. */
  readonly url: string;
  /**
   * The schema that has the store's tables and nothing else: small letters, digits and underscores. It is made at the
   * first use; then the user needs the right to make it. Default: `fafnir`.
   */
  readonly schema?: string;
  /** How many connections a process has at most for its calls; a worker has one more, which listens. Default: 10. */
  readonly connections?: number;
  /** What wakes workers; the store closes it. Default: PostgreSQL's own NOTIFY, which wakes all of them. */
  readonly dispatcher?: Dispatcher;
}

/** A job store in PostgreSQL. */
export interface PostgresStore extends JobStore {
  /**
   * The store by way of a client of the host's that has begun a transaction: what is written is there when the host
   * commits, and never was where it rolls back. For asking, not for running jobs: an engine on it has
   * `worker: false`. Closing it ends neither the transaction nor the client.
   */
  within(client: PostgresClient): JobStore;
}

const OPTIONS = strictOptions({
  url: z.string().refine(isAddress, 'not an address of PostgreSQL'),
  schema: z
    .string()
    .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,39}$/, 'not the name of a schema: small letters, digits, underscores')
    .exactOptional(),
  connections: z.int().min(1).max(1_000).exactOptional(),
  dispatcher: z
    .custom<Dispatcher>(isDispatcher, 'must be a dispatcher of contract version 1')
    .exactOptional(),
}) satisfies z.ZodType<PostgresStoreOptions>;

/**
 * A job store in a PostgreSQL of version 13 or later, shared by any number of hosts. What a call has resolved survives a
 * process crash and, where the server keeps its own promises, a power loss. Needs the package `pg`; nothing is opened
 * before the first call. A proxy between may pool sessions, but not transactions.
 */
export function postgresStore(options: string | PostgresStoreOptions): PostgresStore {
  const given = typeof options === 'string' ? { url: options } : options;
  const asked = parseOptions('postgresStore', OPTIONS, given);
  const { url, schema = 'fafnir', connections = 10 } = asked;
  const database = new PooledDatabase({ url, schema, connections });
  const dispatcher = asked.dispatcher ?? listening(database);

  async function close(): Promise<void> {
    await dispatcher.close();
    await database.close();
  }

  return {
    ...jobStoreOn(database, dispatcher),
    dispatcher,
    within: (client) => jobStoreOn(new HostDatabase(client, schema, () => database.open()), dispatcher),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isDispatcher(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'contract' in value && value.contract === 1;
}

function isAddress(text: string): boolean {
  return URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol) && new URL(text).host !== '';
}
