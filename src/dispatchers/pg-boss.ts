import type { PgBoss } from 'pg-boss';
import * as z from 'zod';
import { Bell } from '../core/bell.ts';
import type { Dispatcher } from '../core/contracts/index.ts';
import { FafnirError } from '../core/errors.ts';
import { parseOptions, strictOptions } from '../core/options.ts';

/** Options of {@link pgBossDispatcher}. */
export interface PgBossDispatcherOptions {
  /** The database, which is that of the store. */
  readonly url: string;
  /** The schema of pg-boss; made where it is missing. Default: `pgboss`. */
  readonly schema?: string;
  /** The queue that hints go by; made where it is missing. Stores of one database have one each. Default: `fafnir`. */
  readonly queue?: string;
  /** How often a worker asks pg-boss while its connection for wake-ups is lost, in seconds; 0.5 or more. Default: 2. */
  readonly pollingSeconds?: number;
}

const OPTIONS = strictOptions({
  url: z.string().min(1),
  schema: z
    .string()
    .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,49}$/, 'not the name of a schema: small letters, digits, underscores')
    .exactOptional(),
  queue: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, 'not the name of a queue')
    .exactOptional(),
  pollingSeconds: z.number().min(0.5).max(3_600).exactOptional(),
}) satisfies z.ZodType<PgBossDispatcherOptions>;

// A hint is over as soon as a worker has it: what becomes of the job is the store's affair.
const QUEUE = {
  notify: true,
  retryLimit: 2,
  expireInSeconds: 60,
  deleteAfterSeconds: 60,
  retentionSeconds: 86_400,
};

/**
 * Wakes workers by the queue of pg-boss, one worker for each hint. A hint is sent in the transaction that adds its job. Needs
 * the package `pg-boss`.
 */
export function pgBossDispatcher(options: PgBossDispatcherOptions): Dispatcher {
  const given = parseOptions('pgBossDispatcher', OPTIONS, options);
  const { url, schema = 'pgboss', queue = 'fafnir', pollingSeconds = 2 } = given;
  const bell = new Bell();
  const closing = new AbortController();
  let started: Promise<PgBoss> | undefined;
  let working: Promise<string> | undefined;

  function boss(): Promise<PgBoss> {
    closing.signal.throwIfAborted();
    if (started === undefined) {
      const starting = start();
      started = starting;
      // The next call tries again.
      starting.catch(() => {
        if (started === starting) started = undefined;
      });
    }
    return started;
  }

  async function start(): Promise<PgBoss> {
    const { PgBoss } = await loadPgBoss();
    const made = new PgBoss({
      connectionString: url,
      schema,
      schedule: false,
      useListenNotify: true,
      max: 3,
    });
    // It goes on by itself; a hint that is lost meanwhile only delays.
    made.on('error', () => undefined);
    try {
      await made.start();
      await made.createQueue(queue, QUEUE);
      return made;
    } catch (error) {
      await made.stop({ graceful: false }).catch(() => undefined);
      throw FafnirError.from(error, 'UNAVAILABLE', `pg-boss in schema ${schema}`);
    }
  }

  function work(): void {
    if (working !== undefined) return;
    const beginning = boss().then((begun) =>
      begun.work(queue, { pollingIntervalSeconds: pollingSeconds }, async () => bell.ring()),
    );
    working = beginning;
    beginning.catch(() => {
      if (working === beginning) working = undefined;
    });
  }

  async function close(): Promise<void> {
    if (closing.signal.aborted) return;
    closing.abort(new FafnirError('CLOSED', 'the dispatcher is closed'));
    const begun = await started?.catch(() => undefined);
    await begun?.stop({ graceful: false });
  }

  return {
    contract: 1,
    async open() {
      await boss();
    },
    async notify(job, transaction) {
      const db = {
        executeSql: async (sql: string, values: readonly unknown[] = []) => {
          const { rows } = await transaction.query(sql, values);
          return { rows: [...rows] };
        },
      };
      await (await boss()).send(queue, { job }, { db });
    },
    async woken({ signal }) {
      closing.signal.throwIfAborted();
      work();
      await bell.heard(AbortSignal.any([signal, closing.signal]));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function loadPgBoss(): Promise<typeof import('pg-boss')> {
  try {
    return await import('pg-boss');
  } catch (cause) {
    throw new FafnirError('UNSUPPORTED', 'a dispatcher by pg-boss needs the package pg-boss', {
      cause,
      hint: 'Add it to the host: npm install pg-boss',
    });
  }
}
