import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type {
  JobId,
  JobStore,
  NewJob,
  PlanId,
  PlanRecord,
  TenantId,
} from '../../src/core/contracts/index.ts';
import { openDatabase } from '../../src/stores/sqlite/open.ts';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import { ENDED } from '../../src/testing/job-store/fixtures.ts';
import { Children, ENDED_WELL, nextLine, rest } from './children.ts';

const tenant = 'acme' as TenantId;
const VERSION_1 = readFileSync(join(import.meta.dirname, 'fixtures', 'version-1.sql'), 'utf8');
const stores: JobStore[] = [];
const children = new Children();
let directory = '';
let path = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fafnir-sqlite-'));
  path = join(directory, 'fafnir.db');
});

afterEach(async () => {
  await children[Symbol.asyncDispose]();
  for (const store of stores.splice(0)) await store.close();
  await rm(directory, { recursive: true });
});

function open(): JobStore {
  const store = sqliteStore(path);
  stores.push(store);
  return store;
}

function job(number: number): NewJob {
  const id = `job-${String(number).padStart(6, '0')}` as JobId;
  return { id, tenant, actor: 'ops', operation: 'protect', operationVersion: 1, input: {}, createdAt: 1 };
}

/** Runs `body` on the file through SQLite itself. */
function inspect<Result>(body: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(path);
  try {
    return body(database);
  } finally {
    database.close();
  }
}

const child = (fixture: string, ...values: string[]) => children.start(fixture, path, ...values);

describe('options', () => {
  it('refuses what it does not know, and touches nothing before the first call', async () => {
    expect(() => sqliteStore({ path, mode: 0o644 } as never)).toThrow(/unknown option mode; .* path/);
    expect(() => sqliteStore('')).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
    await sqliteStore(path).close();
    await sqliteStore(join(directory, 'missing', 'fafnir.db')).close();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('the file', () => {
  it('and those beside it are readable by their owner only', async () => {
    const store = open();
    await store.enqueue(job(1));
    const modes: Record<string, string> = {};
    for (const name of await readdir(directory)) {
      modes[name] = ((await stat(join(directory, name))).mode & 0o777).toString(8);
    }
    expect(modes).toEqual({ 'fafnir.db': '600', 'fafnir.db-shm': '600', 'fafnir.db-wal': '600' });
  });

  it('keeps the mode that its owner gave it', async () => {
    await writeFile(path, '');
    await chmod(path, 0o640);
    await open().enqueue(job(1));
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it('has a write-ahead log, tables that check types, and sound contents', async () => {
    await open().enqueue(job(1));
    inspect((database) => {
      expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
      expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
      const tables = database
        .prepare(`SELECT name, strict FROM pragma_table_list WHERE schema = 'main'`)
        .all();
      for (const name of ['jobs', 'segments', 'plans', 'resource_leases'])
        expect(tables).toContainEqual({ name, strict: 1 });
    });
  });

  it('is written with every commit synced, and foreign keys on', () => {
    const database = openDatabase(path);
    try {
      expect(database.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
      expect(database.prepare('PRAGMA foreign_keys').get()).toEqual({ foreign_keys: 1 });
      expect(database.prepare('PRAGMA wal_autocheckpoint').get()).toEqual({ wal_autocheckpoint: 400 });
      expect(database.prepare('PRAGMA busy_timeout').get()).toEqual({ timeout: 5_000 });
    } finally {
      database.close();
    }
  });

  it.runIf('enableDefensive' in DatabaseSync.prototype)('is opened defensively, where Node can', () => {
    const database = openDatabase(path);
    try {
      database.exec('PRAGMA writable_schema = ON');
      expect(() => database.exec(`UPDATE sqlite_schema SET sql = ''`)).toThrow(/may not be modified/);
    } finally {
      database.close();
    }
  });

  it('answers the questions of every call from an index', async () => {
    await open().enqueue(job(1));
    const plans = inspect((database) =>
      [
        `SELECT number FROM jobs WHERE outcome IS NULL
           AND (state = 'queued' AND not_before <= 1 OR state = 'running' AND lease_until < 1)
           ORDER BY id LIMIT 1`,
        `SELECT * FROM jobs WHERE tenant = '' AND id > '' ORDER BY id LIMIT 1`,
        `SELECT * FROM jobs INDEXED BY jobs_open WHERE outcome IS NULL
           AND tenant = '' AND state = '' AND id > '' ORDER BY id LIMIT 1`,
        `SELECT * FROM jobs INDEXED BY jobs_ended WHERE outcome IS NOT NULL
           AND tenant = '' AND state = '' AND id > '' ORDER BY id LIMIT 1`,
        `SELECT tenant FROM jobs WHERE tenant > '' ORDER BY tenant LIMIT 1`,
        `SELECT rows FROM segments WHERE position > (SELECT number FROM jobs WHERE tenant = '' AND id = '') << 32
           AND position < 1 << 32 ORDER BY position`,
        `SELECT * FROM plans WHERE tenant = '' AND id > '' ORDER BY id LIMIT 1`,
        `SELECT job, kind, excludes FROM resource_leases WHERE tenant = '' AND resource = '' AND job <> ''`,
        `DELETE FROM resource_leases WHERE tenant = '' AND job = ''`,
      ].map((sql) =>
        database
          .prepare(`EXPLAIN QUERY PLAN ${sql}`)
          .all()
          .map((row) => row.detail),
      ),
    );
    expect(plans).toEqual([
      ['SCAN jobs USING INDEX jobs_open'],
      ['SEARCH jobs USING INDEX jobs_by_tenant (tenant=? AND id>?)'],
      ['SEARCH jobs USING INDEX jobs_open (id>?)'],
      ['SEARCH jobs USING INDEX jobs_ended (tenant=? AND state=? AND id>?)'],
      ['SEARCH jobs USING COVERING INDEX jobs_by_tenant (tenant>?)'],
      [
        'SEARCH segments USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
        'SCALAR SUBQUERY 1',
        'SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)',
      ],
      ['SEARCH plans USING PRIMARY KEY (tenant=? AND id>?)'],
      ['SEARCH resource_leases USING PRIMARY KEY (tenant=? AND resource=?)'],
      ['SEARCH resource_leases USING COVERING INDEX resource_leases_by_job (tenant=? AND job=?)'],
    ]);
  });
});

/** The schema as SQLite has it, by name; the layout of its text does not matter. */
function schemaOf(database: DatabaseSync): Record<string, string> {
  const rows = database.prepare('SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL').all();
  return Object.fromEntries(rows.map(({ name, sql }) => [name, String(sql).replaceAll(/\s+/g, ' ')]));
}

describe('a file of version 1', () => {
  beforeEach(() => inspect((database) => database.exec(VERSION_1)));

  it('is upgraded in place, with all that was in it', async () => {
    const store = open();
    const ended = await store.get(tenant, job(1).id);
    expect(ended).toMatchObject({ state: 'succeeded', epoch: 1, notBefore: 0, createdAt: 1.5 });
    expect(await store.get(tenant, job(2).id)).toMatchObject({ state: 'running', cancelRequested: true });
    expect(await store.get(tenant, job(3).id)).toMatchObject({ state: 'queued', leaseUntil: 0 });
    expect(await store.get('other' as TenantId, job(4).id)).toMatchObject({ state: 'queued' });
    expect(await store.journal(tenant, job(1).id)).toEqual([
      { step: 'a', kind: 'intent' },
      { step: 'a', kind: 'result', value: { name: 'faf-1' } },
    ]);
    expect(await store.plans.get(tenant, 'plan-1' as PlanId)).toEqual({
      id: 'plan-1',
      tenant,
      name: 'shop',
      provider: 'gold',
      resources: [{ type: 'Local::Application', id: 'shop' }],
      exclude: [],
      dependencies: [],
      incomplete: 'refuse',
      onFailure: 'fail',
      policy: {},
      createdAt: 1,
    });
    inspect((database) => {
      expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 15 });
      expect(database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
    });
  });

  it('then has the schema of a new file', async () => {
    await open().enqueue(job(5));
    const upgraded = inspect(schemaOf);
    const fresh = openDatabase(join(directory, 'fresh.db'));
    try {
      expect(upgraded).toEqual(schemaOf(fresh));
    } finally {
      fresh.close();
    }
  });

  it('goes on where it was, with leases, postponed jobs and the inputs of steps', async () => {
    const store = open();
    const lease = { resource: 'volume/a', kind: 'write', excludes: ['write'] };
    const second = await store.claim({ now: 3, leaseUntil: 9, job: job(2).id });
    const third = await store.claim({ now: 3, leaseUntil: 9, job: job(3).id });
    if (second === undefined || third === undefined) throw new Error('there were no jobs to claim');
    expect(second.job.epoch).toBe(2);
    await expect(store.append(second, [{ step: 'a', kind: 'intent' }])).rejects.toMatchObject({
      code: 'JOURNAL_MISMATCH',
    });
    expect(await store.acquire(second, [lease])).toBeUndefined();
    expect(await store.acquire(third, [lease])).toMatchObject({ job: job(2).id });
    await store.append(second, [{ step: 'a', kind: 'result', input: '0'.repeat(32), value: 1 }]);
    expect(await store.journal(tenant, job(2).id)).toEqual([
      { step: 'a', kind: 'intent' },
      { step: 'a', kind: 'result', input: '0'.repeat(32), value: 1 },
    ]);
    await store.postpone(second, 100);
    expect(await store.acquire(third, [lease])).toBeUndefined();
    expect(await store.claim({ now: 99, leaseUntil: 200, job: job(2).id })).toBeUndefined();
  });
});

describe('a file that cannot be opened', () => {
  it('in a missing directory is NOT_FOUND, and works once there is one', async () => {
    const missing = sqliteStore(join(directory, 'missing', 'fafnir.db'));
    await expect(missing.enqueue(job(1))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(join(directory, 'missing')),
    });
    expect(existsSync(join(directory, 'missing'))).toBe(false);
    await mkdir(join(directory, 'missing'));
    expect((await missing.enqueue(job(1))).state).toBe('queued');
    await missing.close();
  });

  it('that is not a database is CORRUPT and stays as it is', async () => {
    const text = 'A letter, not a database. '.repeat(100);
    await writeFile(path, text);
    await expect(open().enqueue(job(1))).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(path),
    });
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('of another program is INVALID_OPTIONS and stays as it is', async () => {
    inspect((database) => database.exec('CREATE TABLE theirs (a); PRAGMA user_version = 1'));
    const before = await readFile(path);
    await expect(open().enqueue(job(1))).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining('another program'),
    });
    expect(before.equals(await readFile(path))).toBe(true);
  });

  it('of a newer version is UNSUPPORTED and stays as it is', async () => {
    const store = open();
    await store.enqueue(job(1));
    await store.close();
    inspect((database) => database.exec('PRAGMA user_version = 999'));
    await expect(open().enqueue(job(2))).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    inspect((database) => {
      expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 999 });
      expect(database.prepare('SELECT count(*) AS jobs FROM jobs').get()).toEqual({ jobs: 1 });
    });
  });
});

describe('damage', () => {
  it.each([
    ['input', `'{'`],
    ['input', `'[]'`],
    ['outcome', `'{"state":"failed"}'`],
    ['outcome', `'{"state":"succeeded","result":[]}'`],
  ])('of the %s of a job (%s) is CORRUPT', async (column, damaged) => {
    const store = open();
    await store.enqueue(job(1));
    const claim = await store.claim({ now: 1, leaseUntil: 2 });
    if (claim !== undefined) await store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
    inspect((database) => database.exec(`UPDATE jobs SET ${column} = ${damaged}`));
    await expect(store.get(tenant, job(1).id)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('of one job does not keep the next one from being claimed', async () => {
    const store = open();
    await store.enqueue(job(1));
    await store.enqueue(job(2));
    inspect((database) => database.exec(`UPDATE jobs SET input = '{' WHERE id = '${job(1).id}'`));
    await expect(store.claim({ now: 1, leaseUntil: 2 })).rejects.toMatchObject({ code: 'CORRUPT' });
    expect((await store.claim({ now: 1, leaseUntil: 2 }))?.job.id).toBe(job(2).id);
  });

  it.each([
    `''`,
    `'{}'`,
    `'[{"step":"a","kind":"result"}]'`,
    `'[{"step":"a","kind":"begun"}]'`,
    `'[{"kind":"intent"}]'`,
  ])('of a journal (%s) is CORRUPT', async (damaged) => {
    const store = open();
    await store.enqueue(job(1));
    const claim = await store.claim({ now: 1, leaseUntil: 2 });
    if (claim !== undefined) await store.append(claim, [{ step: 'a', kind: 'result', value: 1 }]);
    inspect((database) => database.exec(`UPDATE segments SET rows = ${damaged}`));
    await expect(store.journal(tenant, job(1).id)).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});

describe('damage of a plan', () => {
  const plan: PlanRecord = {
    id: 'plan-1' as PlanId,
    tenant,
    name: 'shop',
    provider: 'gold',
    resources: [{ type: 'Local::Application', id: 'shop' }],
    exclude: [],
    dependencies: [],
    incomplete: 'refuse',
    onFailure: 'fail',
    policy: {},
    createdAt: 1,
  };

  it.each([
    ['resources', `'[{}]'`],
    ['exclude', `'[{"type":"Local::Volume","tag":{}}]'`],
    ['dependencies', `'{}'`],
    ['incomplete', `''`],
    ['on_failure', `'ignore'`],
    ['policy', `'{"keep":-1}'`],
  ])('in %s is CORRUPT, and leaves the others readable', async (column, damaged) => {
    const store = open();
    const other = { ...plan, id: 'plan-2' as PlanId, name: 'other' };
    await store.plans.create(plan);
    await store.plans.create(other);
    inspect((database) => database.exec(`UPDATE plans SET ${column} = ${damaged} WHERE id = '${plan.id}'`));
    await expect(store.plans.get(tenant, plan.id)).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(await store.plans.get(tenant, other.id)).toEqual(other);
  });
});

describe('a lock that another connection holds', () => {
  it('is waited for, then UNAVAILABLE and worth another try; nothing is half done', async () => {
    const store = open();
    await store.enqueue(job(1));
    const blocker = new DatabaseSync(path);
    blocker.exec('BEGIN IMMEDIATE');
    await expect(store.enqueue(job(2))).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await store.get(tenant, job(2).id)).toBeUndefined();
    blocker.close();
    expect((await store.enqueue(job(2))).state).toBe('queued');
  });
});

describe('several processes', () => {
  it('lose no acknowledged write to kill -9', async () => {
    for (const acknowledged of [40, 97, 211]) {
      const { running, lines, closed } = child('writer');
      const seen: string[] = [];
      while (seen.length < acknowledged) seen.push(await nextLine(lines));
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
      await store.close();
      await rm(path);
    }
  });

  it('never claim the same job', async () => {
    const count = 300;
    const store = open();
    for (let number = 0; number < count; number += 1) await store.enqueue(job(number));
    const claimers = [child('claimer'), child('claimer'), child('claimer')];
    const claimed = await Promise.all(claimers.map(({ lines }) => nextLine(lines)));
    for (const { running } of claimers) running.stdin.write('go\n');
    for (const { lines } of claimers) claimed.push(...(await rest(lines)));
    for (const { closed } of claimers) expect(await closed()).toEqual(ENDED_WELL);
    expect(claimed.sort()).toEqual(Array.from({ length: count }, (_, number) => job(number).id));
  });

  it.each([
    ['a new file', '', []],
    ['a file of version 1', VERSION_1, ['shop']],
  ])('that open %s at once migrate it once', async (_, schema, before) => {
    inspect((database) => database.exec(schema));
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const openers = names.map((name) => child('opener', name));
    for (const { lines } of openers) expect(await nextLine(lines)).toBe('ready');
    for (const { running } of openers) running.stdin.write('go\n');
    for (const { closed } of openers) expect(await closed()).toEqual(ENDED_WELL);
    const found: string[] = [];
    for await (const { name } of open().plans.list(tenant)) found.push(name);
    expect(found).toEqual([...names, ...before]);
  });
});
