import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyAudit } from '../../src/core/audit.ts';
import type { AuditRecord, JobStore, TenantId } from '../../src/core/contracts/index.ts';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import { entry } from '../../src/testing/job-store/audit.ts';
import { all, failure } from '../core/engine/world.ts';
import { postgresLab } from '../lab/postgres/postgres.ts';
import { freshSchema } from '../lab/postgres/schemas.ts';
import { Children, ENDED_WELL, nextLine, rest } from './children.ts';
import { storeAt } from './fixtures/store.ts';

const ACME = 'acme' as TenantId;
const { url = '', skipped } = postgresLab();

/** A place for a store, and what removes it. */
interface Place {
  readonly place: string;
  drop(): Promise<unknown>;
}

async function freshFile(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-audit-'));
  return { place: join(directory, 'fafnir.db'), drop: () => rm(directory, { recursive: true }) };
}

async function freshTables(): Promise<Place> {
  const { name, drop } = await freshSchema(url);
  return { place: `postgres:${name}`, drop };
}

const recordsOf = (store: JobStore): Promise<AuditRecord[]> => all(store.audit.list(ACME, {}));
const lineOf = ({ action, object }: AuditRecord): string => `${action} ${object.job}`;

describe.each([
  { store: 'SQLite', why: undefined, make: freshFile },
  { store: 'PostgreSQL', why: skipped, make: freshTables },
])('processes that tell in one chain of $store', ({ why, make }) => {
  const told = `neither fork it nor lose or double a record, also where one is killed${why ? ` (${why})` : ''}`;
  it.skipIf(why !== undefined)(told, { timeout: 120_000 }, async () => {
    const { place, drop } = await make();
    await using children = new Children();
    try {
      const tellers = ['a', 'b', 'c'].map((name) => children.start('teller', place, name, '40'));
      const doomed = children.start('teller', place, 'd');
      for (const { lines } of [...tellers, doomed]) expect(await nextLine(lines)).toBe('ready');
      for (const { running } of [...tellers, doomed]) running.stdin.write('go\n');
      const heard: string[] = [];
      while (heard.length < 25) heard.push(await nextLine(doomed.lines));
      doomed.running.kill('SIGKILL');
      heard.push(...(await rest(doomed.lines)));
      expect(await doomed.closed()).toMatchObject({ signal: 'SIGKILL', errors: '' });
      for (const { lines, closed } of tellers) {
        heard.push(...(await rest(lines)));
        expect(await closed()).toEqual(ENDED_WELL);
      }
      await using store = storeAt(place);
      const records = await recordsOf(store);
      expect((await verifyAudit(records, { heads: [await store.audit.head(ACME)] })).isIntact).toBe(true);
      const lines = records.map(lineOf);
      expect(new Set(lines).size).toBe(lines.length);
      expect(heard.filter((line) => !lines.includes(line))).toEqual([]);
      // Each record tells of something that is so, and all that is so is told.
      const happened: string[] = [];
      for await (const { id, state } of store.list(ACME, {})) {
        happened.push(`job.submitted ${id}`);
        if (state === 'succeeded') happened.push(`job.ended ${id}`);
      }
      expect(lines.sort()).toEqual(happened.sort());
    } finally {
      await drop();
    }
  });
});

describe('a file of SQLite that somebody edits', () => {
  let file: Place;
  let store: JobStore;

  beforeEach(async () => {
    file = await freshFile();
    store = sqliteStore(file.place);
    for (let number = 1; number <= 5; number += 1) await store.audit.append(ACME, entry(number));
  });

  afterEach(async () => {
    await store.close();
    await file.drop();
  });

  function edit(sql: string): void {
    using database = new DatabaseSync(file.place);
    database.exec(sql);
  }

  it('shows which record was changed, and goes on to be told', async () => {
    edit(`UPDATE audit SET record = replace(record, '"ops"', '"eve"') WHERE number = 3`);
    await store.audit.append(ACME, entry(6));
    expect(await verifyAudit(await recordsOf(store))).toEqual({
      isIntact: false,
      number: 3,
      fault: 'changed',
    });
  });

  it('shows which record was removed', async () => {
    edit('DELETE FROM audit WHERE number = 2; UPDATE audit SET number = number - 1 WHERE number > 2');
    const { code, message } = await failure(() => recordsOf(store));
    expect([code, message]).toEqual(['CORRUPT', expect.stringContaining('audit record 2 of tenant acme')]);
    edit(`UPDATE audit SET record = json_set(record, '$.number', number)`);
    expect(await verifyAudit(await recordsOf(store))).toMatchObject({ isIntact: false, number: 2 });
  });

  it('shows by a kept head alone that the end was cut off', async () => {
    const head = await store.audit.head(ACME);
    edit('DELETE FROM audit WHERE number > 3');
    expect((await verifyAudit(await recordsOf(store))).isIntact).toBe(true);
    const cut = { isIntact: false, number: 4, fault: 'ended' };
    expect(await verifyAudit(await recordsOf(store), { heads: [head] })).toEqual(cut);
    for (const number of [4, 5, 6]) await store.audit.append(ACME, entry(number + 10));
    const anew = { isIntact: false, number: 5, fault: 'head' };
    expect(await verifyAudit(await recordsOf(store), { heads: [head] })).toEqual(anew);
  });

  it.each([
    [`UPDATE audit SET record = 'x' WHERE number = 3`],
    [`UPDATE audit SET record = json_remove(record, '$.actor') WHERE number = 3`],
    ['UPDATE audit SET at = 7 WHERE number = 3'],
    [`UPDATE audit SET hash = 'f' WHERE number = 3`],
    [`UPDATE audit SET record = json_set(record, '$.tenant', 'other') WHERE number = 3`],
  ])('is CORRUPT where a record can no longer be read: %s', async (sql) => {
    edit(sql);
    const { code, message } = await failure(() => recordsOf(store));
    expect([code, message]).toEqual(['CORRUPT', expect.stringContaining('audit record 3')]);
    // What is behind it can be read.
    expect(await all(store.audit.list(ACME, { after: 3 }))).toHaveLength(2);
  });
});
