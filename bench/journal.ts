import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../src/core/clock.ts';
import type { JobClaim, JobId, JobStore, NewJob, TenantId } from '../src/core/contracts/index.ts';
import { Journal } from '../src/core/jobs/journal.ts';
import { Steps } from '../src/core/jobs/steps.ts';
import { sqliteStore } from '../src/stores/sqlite.ts';
import type { Figure } from './figure.ts';
import { ENDED } from '../src/testing/job-store/fixtures.ts';

const ROUNDS = 5;
const RESOURCES = 100_000;
const CONCURRENCY = 64;
const EFFECT_EVERY = 100;
const SMALL_JOBS = 500;
const SMALL_STEPS = ['begin', 'main', 'complete'];
const TENANT = 'bench' as TenantId;
const SIGNAL = new AbortController().signal;

/**
 * The journal of a job with very many resources, and the store with very many jobs of few steps: beside a table of
 * jobs and one of steps as one would write them by hand, with as many transactions and the same durability.
 */
export async function run(): Promise<readonly Figure[]> {
  const walks: Walk[] = [];
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    walks.push(await inDirectory(walkResources));
    // In turns, so that neither has the quieter machine.
    const measure = [
      async () => ours.push(await inDirectory(smallJobs)),
      async () => theirs.push(await inDirectory(handWrittenJobs)),
    ];
    for (const one of round % 2 === 0 ? measure : measure.toReversed()) await one();
  }
  const rate = median(walks.map((walk) => walk.rate));
  const stall = median(walks.map((walk) => walk.longestFlush));
  const ratio = median(ours.map((value, round) => value / (theirs[round] ?? NaN)));
  const alone = { rival: null, ratio: null, rounds: ROUNDS };
  return [
    {
      ...alone,
      name: 'journal rate',
      value: rate,
      unit: 'resources/s',
      goal: '>= 50000 resources/s',
      met: rate >= 50_000,
    },
    { ...alone, name: 'longest stall', value: stall, unit: 'ms', goal: '<= 20 ms', met: stall <= 20 },
    {
      name: 'single small jobs',
      value: median(ours),
      unit: 'jobs/s',
      rival: `hand-written tables, SQLite ${process.versions.sqlite}`,
      ratio,
      goal: 'ratio >= 0.9',
      met: ratio >= 0.9,
      rounds: ROUNDS,
    },
  ];
}

type Walk = { readonly rate: number; readonly longestFlush: number };

/** Every resource begins, does its work and completes; some of them with an effect that waits for its intent. */
async function walkResources(directory: string): Promise<Walk> {
  await using store = sqliteStore(join(directory, 'fafnir.db'));
  const watched = watchFlushes(store);
  const claim = await claimNew(store, 0);
  // As clouds name them: in no order.
  const resources = Array.from({ length: RESOURCES }, () => randomUUID());
  const start = performance.now();
  const journal = await Journal.open(watched.store, claim);
  using steps = new Steps(
    journal,
    { clock: systemClock, random: Math.random, policies: {} },
    SIGNAL,
    () => undefined,
  );
  const remaining = resources.entries();
  const work = async (): Promise<void> => {
    for (const [at, id] of remaining) await oneResource(steps, at, id);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  await journal.record(journal.begin('done', journal), { resources: RESOURCES });
  const seconds = (performance.now() - start) / 1000;
  await store.finish(claim, { state: 'succeeded', result: {} }, ENDED);
  await assertJournal(store, claim);
  return { rate: RESOURCES / seconds, longestFlush: watched.longest() };
}

async function oneResource(steps: Steps, at: number, uuid: string): Promise<void> {
  const id = `Bench::Server/${uuid}`;
  await steps.step(`begin/${id}`, async () => ({ began: at }));
  if (at % EFFECT_EVERY === 0) {
    await steps.effect(`snapshot/${id}`, async () => ({ snapshot: `faf-${at}` }), { at });
  }
  await steps.step(`main/${id}`, async () => ({
    name: `server ${at}`,
    flavor: 'm1.small',
    volumes: 2,
  }));
  await steps.step(`complete/${id}`, async () => ({ artifact: `artifacts/${at}` }));
}

/** The store writes synchronously, so a flush blocks the event loop for as long as the call takes to return. */
function watchFlushes(store: JobStore): { store: JobStore; longest: () => number } {
  let longest = 0;
  const append: JobStore['append'] = (claim, rows, audit) => {
    const start = performance.now();
    const written = store.append(claim, rows, audit);
    longest = Math.max(longest, performance.now() - start);
    return written;
  };
  return { store: { ...store, append }, longest: () => longest };
}

async function assertJournal(store: JobStore, claim: JobClaim): Promise<void> {
  const expected = 3 * RESOURCES + (2 * RESOURCES) / EFFECT_EVERY + 1;
  const { length } = await store.journal(claim.job.tenant, claim.job.id);
  if (length !== expected) throw new Error(`the journal has ${length} rows, not ${expected}`);
}

/** Jobs per second. */
async function smallJobs(directory: string): Promise<number> {
  await using store = sqliteStore(join(directory, 'fafnir.db'));
  await claimNew(store, 0);
  const start = performance.now();
  for (let number = 1; number <= SMALL_JOBS; number += 1) {
    const claim = await claimNew(store, number);
    for (const step of SMALL_STEPS) await store.append(claim, [{ step, kind: 'result', value: { number } }]);
    await store.finish(claim, { state: 'succeeded', result: { number } }, ENDED);
  }
  return SMALL_JOBS / ((performance.now() - start) / 1000);
}

async function claimNew(store: JobStore, number: number): Promise<JobClaim> {
  const job: NewJob = {
    id: `job-${String(number).padStart(8, '0')}` as JobId,
    tenant: TENANT,
    actor: 'bench',
    operation: 'protect',
    operationVersion: 1,
    input: { plan: `plan-${number}` },
    createdAt: number,
  };
  await store.enqueue(job);
  const claim = await store.claim({ now: 1, leaseUntil: 60_000 });
  if (claim?.job.id !== job.id) throw new Error(`job ${job.id} was not claimed`);
  return claim;
}

/** Jobs per second. */
async function handWrittenJobs(directory: string): Promise<number> {
  const database = new DatabaseSync(join(directory, 'hand-written.db'));
  try {
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE jobs (id TEXT PRIMARY KEY, state TEXT, input TEXT, outcome TEXT);
      CREATE INDEX queued ON jobs (id) WHERE state = 'queued';
      CREATE TABLE steps (job TEXT, step TEXT, value TEXT, PRIMARY KEY (job, step));
    `);
    const enqueue = database.prepare(`INSERT INTO jobs (id, state, input) VALUES (?, 'queued', ?)`);
    const claim = database.prepare(
      `UPDATE jobs SET state = 'running'
       WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING *`,
    );
    const append = database.prepare('INSERT INTO steps (job, step, value) VALUES (?, ?, ?)');
    const finish = database.prepare(`UPDATE jobs SET state = 'succeeded', outcome = ? WHERE id = ?`);
    const start = performance.now();
    for (let number = 1; number <= SMALL_JOBS; number += 1) {
      enqueue.run(`job-${String(number).padStart(8, '0')}`, JSON.stringify({ plan: `plan-${number}` }));
      const id = String(claim.get()?.id);
      for (const step of SMALL_STEPS) append.run(id, step, JSON.stringify({ number }));
      finish.run(JSON.stringify({ number }), id);
    }
    return SMALL_JOBS / ((performance.now() - start) / 1000);
  } finally {
    database.close();
  }
}

async function inDirectory<Result>(body: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'fafnir-bench-'));
  try {
    return await body(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}
