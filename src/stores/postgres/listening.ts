import type { Client } from 'pg';
import { Bell } from '../../core/bell.ts';
import type { Dispatcher } from '../../core/contracts/index.ts';
import { storeClosed } from '../records.ts';
import type { PooledDatabase } from './pooled-database.ts';

const PAUSE = 1_000;

/** Wakes every worker of a store by PostgreSQL's own NOTIFY. Each has a connection that does nothing but listen. */
export function listening(database: PooledDatabase): Dispatcher {
  const channel = `fafnir_${database.schema}`;
  const bell = new Bell();
  const closing = new AbortController();
  let connection: Promise<Client> | undefined;
  let again: NodeJS.Timeout | undefined;

  // While there is no connection workers look by themselves, so that nobody has to wait for one.
  function listen(): void {
    if (connection !== undefined || again !== undefined || closing.signal.aborted) return;
    const opening = connect();
    connection = opening;
    opening.catch(() => listenAgain(opening));
  }

  async function connect(): Promise<Client> {
    const client = await database.connect();
    client.on('notification', () => bell.ring());
    client.on('error', () => undefined);
    client.on('end', () => listenAgain(connection));
    await client.query(`LISTEN "${channel}"`);
    // What came before is not heard.
    bell.ring();
    return client;
  }

  function listenAgain(former: Promise<Client> | undefined): void {
    if (connection !== former || closing.signal.aborted) return;
    connection = undefined;
    again = setTimeout(() => {
      again = undefined;
      listen();
    }, PAUSE).unref();
  }

  async function close(): Promise<void> {
    closing.abort(storeClosed());
    clearTimeout(again);
    const client = await connection?.catch(() => undefined);
    await client?.end();
  }

  return {
    contract: 1,
    open: () => database.open(),
    async notify(job, transaction) {
      await transaction.query('SELECT pg_notify($1, $2)', [channel, job]);
    },
    async woken({ signal }) {
      listen();
      await bell.heard(AbortSignal.any([signal, closing.signal]));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
