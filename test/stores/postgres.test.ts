import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobClaim, JobId, JobStore, NewJob, TenantId } from '../../src/core/contracts/index.ts';
import { FafnirError } from '../../src/core/errors.ts';
import { assertClaimed } from '../../src/stores/postgres/claims.ts';
import { storeError } from '../../src/stores/postgres/errors.ts';
import { HostDatabase } from '../../src/stores/postgres/host-database.ts';
import { MIGRATIONS, type Migration } from '../../src/stores/postgres/migrations.ts';
import { PooledDatabase } from '../../src/stores/postgres/pooled-database.ts';
import { bringUpToDate } from '../../src/stores/postgres/schema.ts';
import { type PostgresStoreOptions, postgresStore } from '../../src/stores/postgres.ts';
import { ENDED, collect } from '../../src/testing/job-store/fixtures.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';
import { type FreshSchema, freshSchema, query, run } from '../lab/postgres/schemas.ts';
import { Children, ENDED_WELL, nextLine, rest } from './children.ts';

const { url = '', skipped } = postgresLab();
const onServer = describe.skipIf(skipped !== undefined);
const why = skipped ? ` (${skipped})` : '';
const tenant = 'acme' as TenantId;
const stores: JobStore[] = [];
const children = new Children();
let schema: FreshSchema;

function open(changes: Partial<PostgresStoreOptions> = {}) {
  const store = postgresStore({ url, schema: schema.name, connections: 4, ...changes });
  stores.push(store);
  return store;
}

function job(number: number): NewJob {
  const id = `job-${String(number).padStart(6, '0')}` as JobId;
  return { id, tenant, actor: 'ops', operation: 'protect', operationVersion: 1, input: {}, createdAt: 1 };
}

async function claimOf(store: JobStore, now = 1): Promise<JobClaim> {
  const claim = await store.claim({ now, leaseUntil: now + 1 });
  if (claim === undefined) throw new Error('there was no job to claim');
  return claim;
}

/** Works on the store's tables by PostgreSQL itself. */
const inspect = <Result>(work: (client: Client) => Promise<Result>): Promise<Result> =>
  query(url, async (client) => {
    await client.query(`SET search_path = ${schema.name}`);
    return await work(client);
  });

/**
 * Selects of the connections on which the store waits for a lock, as soon as there is one. Not by the connection that
 * holds the lock: within one transaction, the server's list of who does what stays as it was at the first look.
 */
const onceBlocked = (selected: string): Promise<void> =>
  query(url, async (client) => {
    const sql = `SELECT ${selected} FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'`;
    while ((await client.query(sql, [schema.name])).rowCount === 0);
  });

beforeEach(async () => {
  schema = await freshSchema(url);
});

afterEach(async () => {
  await children[Symbol.asyncDispose]();
  for (const store of stores.splice(0)) await store.close();
  if (skipped === undefined) await schema.drop();
});

describe('options', () => {
  it.each([
    ['no address', { url: 'somewhere' }],
    ['an address of something else', { url: 'http://127.0.0.1/postgres' }],
    ['a schema that would have to be quoted', { url: 'postgres://127.0.0.1/x', schema: 'a"b' }],
    ['a schema of PostgreSQL itself', { url: 'postgres://127.0.0.1/x', schema: 'pg_catalog' }],
    ['what it does not know', { url: 'postgres://127.0.0.1/x', pool: 3 }],
  ])('with %s are INVALID_OPTIONS', (_, options) => {
    expect(() => postgresStore(options as PostgresStoreOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS' }),
    );
  });
});

describe('errors', () => {
  it.each([
    ['40001', 'UNAVAILABLE'],
    ['40P01', 'UNAVAILABLE'],
    ['55P03', 'UNAVAILABLE'],
    ['57P01', 'UNAVAILABLE'],
    ['25006', 'UNAVAILABLE'],
    ['08006', 'UNAVAILABLE'],
    ['53300', 'UNAVAILABLE'],
    ['53100', 'NO_SPACE'],
    ['28P01', 'ACCESS_DENIED'],
    ['42501', 'ACCESS_DENIED'],
    ['XX001', 'CORRUPT'],
    ['22021', 'INVALID_OPTIONS'],
  ])('of code %s are %s', (code, expected) => {
    const error = storeError('store', Object.assign(new Error('of the server'), { severity: 'ERROR', code }));
    expect(error).toMatchObject({
      code: expected,
      retryable: ['UNAVAILABLE', 'NO_SPACE'].includes(expected),
    });
  });

  it('of a server that does not answer are UNAVAILABLE, and name no password', async () => {
    await using store = postgresStore('postgres://fafnir:very-secret@127.0.0.1:1/postgres');
    const error = await store.get(tenant, job(1).id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(`${error}`).not.toContain('very-secret');
  });
});

onServer(`a PostgreSQL store${why}`, () => {
  it('of a user that may not come in is ACCESS_DENIED, and names no password', async () => {
    const wrong = new URL(url);
    wrong.password = 'very-secret';
    const error = await open({ url: wrong.href })
      .get(tenant, job(1).id)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ACCESS_DENIED', retryable: false });
    expect(`${error}`).not.toContain('very-secret');
  });

  it('whose connections are cut is UNAVAILABLE, and works at the next call', async () => {
    const store = open();
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const cutting = inspect(async (client) => {
      await client.query('BEGIN; LOCK TABLE jobs');
      const waiting = store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
      const error = waiting.catch((reason: unknown) => reason);
      await onceBlocked('pg_terminate_backend(pid)');
      return await error;
    });
    expect(await cutting).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await store.get(tenant, job(1).id)).toMatchObject({ state: 'running' });
    await store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
  });

  it('waits for a lock, then is UNAVAILABLE; nothing is half done', async () => {
    const store = open();
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await inspect(async (client) => {
      await client.query('BEGIN; LOCK TABLE resource_leases');
      const finish = store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
      await expect(finish).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    });
    expect(await store.get(tenant, job(1).id)).toMatchObject({ state: 'running' });
  });

  it('commits to disk also where the database does not ask for that', async () => {
    const lazy = new URL(url);
    lazy.searchParams.set(
      'options',
      '-c synchronous_commit=off -c default_transaction_isolation=serializable',
    );
    const store = open({ url: lazy.href, connections: 1 });
    await store.enqueue(job(1));
    await inspect(async (client) => {
      await client.query(`CREATE TABLE seen (settings text);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO ${schema.name}.seen VALUES (current_setting('synchronous_commit') || ' ' || current_setting('transaction_isolation'));
          RETURN NEW; END $$;
        CREATE TRIGGER looks BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION ${schema.name}.look()`);
      await claimOf(store);
      expect((await client.query('SELECT settings FROM seen')).rows).toEqual([
        { settings: 'on read committed' },
      ]);
    });
  });

  it('takes from a worker that stands still in the middle of a write what it has locked', async () => {
    const store = open();
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const database = new PooledDatabase({ url, schema: schema.name, connections: 1 });
    const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: isLocked, resolve: lock } = Promise.withResolvers<void>();
    const stands = database.transaction(async (queries) => {
      await assertClaimed(queries, former);
      lock();
      await goesOn;
      await queries.all('DELETE FROM @jobs');
    });
    await isLocked;
    // By its id, for it is passed over as long as it is locked.
    const current = await store.claim({ now: 100, leaseUntil: 101, job: former.job.id });
    if (current === undefined) throw new Error('the job was not taken');
    expect(current.job.epoch).toBe(2);
    goOn();
    await expect(stands).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await database.close();
    await store.finish(current, { state: 'succeeded', result: {} }, ENDED);
  });

  it('passes over a job that another worker is about to take', async () => {
    const store = open();
    for (const number of [1, 2]) await store.enqueue(job(number));
    await inspect(async (client) => {
      await client.query('BEGIN');
      await client.query('SELECT 1 FROM jobs WHERE id = $1 FOR NO KEY UPDATE', [job(1).id]);
      expect((await claimOf(store)).job.id).toBe(job(2).id);
      expect(await store.claim({ now: 1, leaseUntil: 2 })).toBeUndefined();
    });
    expect((await claimOf(store)).job.id).toBe(job(1).id);
  });

  it('fences what a former worker writes while another takes its job', async () => {
    const store = open();
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const rows = [{ step: 'snapshot', kind: 'intent' }] as const;
    await inspect(async (client) => {
      await client.query('BEGIN');
      await client.query('UPDATE jobs SET epoch = epoch + 1');
      const late = expect(store.append(former, rows)).rejects.toMatchObject({ code: 'FENCED' });
      await onceBlocked('pid');
      await client.query('COMMIT');
      await late;
    });
    expect(await store.journal(tenant, job(1).id)).toEqual([]);
  });

  it('names a damaged job, which does not keep the next one from being claimed', async () => {
    const store = open();
    for (const number of [1, 2]) await store.enqueue(job(number));
    await inspect((client) => client.query(`UPDATE jobs SET input = '{' WHERE id = $1`, [job(1).id]));
    await expect(store.get(tenant, job(1).id)).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(claimOf(store)).rejects.toMatchObject({ code: 'CORRUPT' });
    expect((await claimOf(store)).job.id).toBe(job(2).id);
  });

  it('keeps text of any length as names of steps and of what is leased', async () => {
    const store = open();
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    // Without a pattern, so that no compression makes it short.
    const long = Array.from({ length: 4_000 }, (_, at) =>
      String.fromCodePoint(0x4e00 + ((at * 7_919) % 20_000)),
    ).join('');
    await store.append(claim, [{ step: long, kind: 'intent' }]);
    await expect(store.append(claim, [{ step: long, kind: 'intent' }])).rejects.toMatchObject({
      code: 'JOURNAL_MISMATCH',
    });
    expect(await store.acquire(claim, [{ resource: long, kind: 'write', excludes: [long] }])).toBeUndefined();
    expect(await store.journal(tenant, job(1).id)).toEqual([{ step: long, kind: 'intent' }]);
  });
});

onServer(`the schema${why}`, () => {
  it('is made once by processes that open it at once', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const openers = names.map((name) => children.start('opener', `postgres:${schema.name}`, name));
    for (const { lines } of openers) expect(await nextLine(lines)).toBe('ready');
    for (const { running } of openers) running.stdin.write('go\n');
    for (const { closed } of openers) expect(await closed()).toEqual(ENDED_WELL);
    expect((await collect(open().plans.list(tenant))).map(({ name }) => name)).toEqual(names);
    const { rows } = await inspect((client) => client.query('SELECT version, usable_from FROM versions'));
    expect(rows).toEqual([{ version: MIGRATIONS.length, usable_from: 1 }]);
  });

  it('is used by a user without the right to change it, once it is there', async () => {
    const store = open();
    await store.enqueue(job(1));
    const user = `${schema.name}_worker`;
    await run(
      url,
      `CREATE ROLE ${user} LOGIN PASSWORD 'worker'`,
      `GRANT USAGE ON SCHEMA ${schema.name} TO ${user}`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema.name} TO ${user}`,
    );
    try {
      const other = Object.assign(new URL(url), { username: user, password: 'worker' });
      await using worker = postgresStore({ url: other.href, schema: schema.name });
      const claim = await claimOf(worker);
      await worker.append(claim, [{ step: 'snapshot', kind: 'intent' }]);
      await worker.finish(claim, { state: 'succeeded', result: {} }, ENDED);
      await using elsewhere = postgresStore({ url: other.href, schema: `${schema.name}_2` });
      await expect(elsewhere.installation()).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    } finally {
      await run(url, `DROP OWNED BY ${user}`, `DROP ROLE ${user}`);
    }
  });

  it('with tables of another program is INVALID_OPTIONS and stays as it is', async () => {
    await run(url, `CREATE SCHEMA ${schema.name}`, `CREATE TABLE ${schema.name}.orders (id integer)`);
    await expect(open().installation()).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    const { rows } = await inspect((client) =>
      client.query('SELECT tablename FROM pg_tables WHERE schemaname = $1', [schema.name]),
    );
    expect(rows).toEqual([{ tablename: 'orders' }]);
  });
});

onServer(`two versions on one store${why}`, () => {
  const added: Migration = {
    statements: [
      `ALTER TABLE @jobs ADD COLUMN priority integer NOT NULL DEFAULT 7`,
      'CREATE TABLE @notes (note text NOT NULL)',
    ],
  };
  const changed: Migration = {
    statements: ['ALTER TABLE @jobs RENAME COLUMN epoch TO generation'],
    breaks: true,
  };

  /** What a later version of this package does when it opens the store. */
  const upgrade = (...later: readonly Migration[]): Promise<void> =>
    inspect(async (client) => {
      await client.query('BEGIN');
      const database = new HostDatabase(client, schema.name, async () => undefined);
      await bringUpToDate(database, [...MIGRATIONS, ...later]);
      await client.query('COMMIT');
    });

  it('share it where the later one has added to it, in whichever order they open it', async () => {
    const running = open();
    await running.enqueue(job(1));
    await upgrade(added);
    for (const [number, store] of [running, open()].entries()) {
      await store.enqueue(job(number + 2));
      const claim = await claimOf(store);
      await store.append(claim, [{ step: 'snapshot', kind: 'intent' }]);
      await store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
      expect((await store.get(tenant, claim.job.id))?.state).toBe('succeeded');
    }
    const { rows } = await inspect((client) => client.query('SELECT DISTINCT priority FROM jobs'));
    expect(rows).toEqual([{ priority: 7 }]);
    await upgrade(added);
    const versions = await inspect((client) => client.query('SELECT version, usable_from FROM versions'));
    expect(versions.rows).toEqual([{ version: MIGRATIONS.length + 1, usable_from: 1 }]);
  });

  it('do not where it cannot be used by the older one, which says so and changes nothing', async () => {
    await open().enqueue(job(1));
    await upgrade(added, changed);
    await expect(open().enqueue(job(2))).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(`version ${MIGRATIONS.length + 2}`),
    });
    const { rows } = await inspect((client) => client.query('SELECT id, generation FROM jobs'));
    expect(rows).toEqual([{ id: job(1).id, generation: 0 }]);
  });
});

onServer(`processes on one store${why}`, () => {
  it('never claim the same job', async () => {
    const count = 300;
    const store = open();
    for (let number = 0; number < count; number += 1) await store.enqueue(job(number));
    const claimers = ['a', 'b', 'c'].map(() => children.start('claimer', `postgres:${schema.name}`));
    const claimed = await Promise.all(claimers.map(({ lines }) => nextLine(lines)));
    for (const { running } of claimers) running.stdin.write('go\n');
    for (const { lines } of claimers) claimed.push(...(await rest(lines)));
    for (const { closed } of claimers) expect(await closed()).toEqual(ENDED_WELL);
    expect(claimed.sort()).toEqual(Array.from({ length: count }, (_, number) => job(number).id));
  });

  it('lose no acknowledged write to kill -9', async () => {
    const { running, lines, closed } = children.start('writer', `postgres:${schema.name}`);
    const seen: string[] = [];
    while (seen.length < 97) seen.push(await nextLine(lines));
    running.kill('SIGKILL');
    seen.push(...(await rest(lines)));
    expect(await closed()).toMatchObject({ signal: 'SIGKILL', errors: '' });
    const store = open();
    for (const line of seen) {
      const [what, id] = line.split(' ');
      const found = await store.get(tenant, id as JobId);
      if (what === 'enqueued') expect(found).toBeDefined();
      if (what === 'appended') expect(await store.journal(tenant, id as JobId)).toHaveLength(1);
      if (what === 'finished') expect(found).toMatchObject({ state: 'succeeded' });
    }
  });
});

onServer(`a transaction of the host${why}`, () => {
  it.each([
    ['COMMIT', true],
    ['ROLLBACK', false],
  ])('that ends with %s has asked for a job: %s', async (end, isThere) => {
    const store = open();
    await store.installation();
    await inspect(async (client) => {
      await client.query('CREATE TABLE orders (id integer)');
      await client.query('BEGIN');
      await client.query('INSERT INTO orders VALUES (1)');
      await using within = store.within(client);
      await within.enqueue(job(1));
      expect(await within.get(tenant, job(1).id)).toBeDefined();
      expect(await store.get(tenant, job(1).id)).toBeUndefined();
      await client.query(end);
      expect((await client.query('SELECT id FROM orders')).rows).toHaveLength(isThere ? 1 : 0);
    });
    expect((await store.get(tenant, job(1).id)) !== undefined).toBe(isThere);
    expect((await store.claim({ now: 1, leaseUntil: 2 })) !== undefined).toBe(isThere);
  });

  it('goes on after a call that was refused, or that failed, or was one of many', async () => {
    const store = open();
    await inspect(async (client) => {
      await client.query('BEGIN');
      const within = store.within(client);
      await Promise.all([1, 2, 3].map((number) => within.enqueue(job(number))));
      await expect(within.enqueue({ ...job(1), tenant: 'other' as TenantId })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      });
      await expect(within.enqueue({ ...job(4), actor: 'nul\0' })).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
      await within.close();
      await expect(within.enqueue(job(5))).rejects.toMatchObject({ code: 'CLOSED' });
      await client.query('COMMIT');
    });
    expect((await collect(store.list(tenant, {}))).map(({ id }) => id)).toEqual(
      [1, 2, 3].map((at) => job(at).id),
    );
  });

  it('that the server has aborted is told as an error', async () => {
    const store = open();
    await inspect(async (client) => {
      await client.query('BEGIN');
      await client.query('SELECT nothing').catch(() => undefined);
      const refused = await store
        .within(client)
        .enqueue(job(1))
        .catch((error: unknown) => error);
      expect(FafnirError.is(refused)).toBe(true);
    });
  });
});
