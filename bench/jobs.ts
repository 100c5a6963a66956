import { randomBytes } from 'node:crypto';
import { PgBoss } from 'pg-boss';
import type { JobId, JobStore, NewJob, TenantId } from '../src/core/contracts/index.ts';
import { postgresStore } from '../src/stores/postgres.ts';
import { ENDED } from '../src/testing/job-store/fixtures.ts';
import { postgresLab } from '../test/lab/postgres/postgres.ts';
import { query, run as runStatements } from '../test/lab/postgres/schemas.ts';
import { median, rangeOf } from './archive/figures.ts';
import { readSettings } from './archive/settings.ts';
import type { Figure } from './figure.ts';
import { archiveWith } from './jobs/spread.ts';

const SINGLE_JOBS = 300;
const HISTORY = 100_000;
const PAGE = 100;
const PAGES_LOOKED_AT = 100;
const HOSTS = 4;
// So that some are killed on the way.
const VOLUMES_WITH_KILLS = 96;
const TENANT = 'bench' as TenantId;

/**
 * The job store in PostgreSQL: jobs that one process asks for, takes and ends, one after the other, beside pg-boss on the same
 * server; a long history, whose last pages are to be listed as fast as its first; and volumes that one host archives and that four
 * do, which have archived others before, on a bank that takes 20 ms for each call, also where one of them is killed every five seconds. The
 * server is that of the lab that `FAFNIR_LAB_POSTGRES` names. `BENCH_ROUNDS` rounds, 5 unless given, after one that does not count.
 */
export async function run(): Promise<readonly Figure[]> {
  const { rounds } = readSettings();
  const { url, skipped } = postgresLab();
  if (url === undefined) throw new Error(skipped);
  const version = await query(url, async (client) => {
    const { rows } = await client.query('SHOW server_version');
    return String(rows[0]?.server_version);
  });
  const ours: number[] = [];
  const theirs: number[] = [];
  const pages: number[] = [];
  const alone: number[] = [];
  const together: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    // In turns, so that neither has the quieter machine.
    const contenders = [
      async () => ours.push(await inSchema(url, (schema) => singleJobs(url, schema))),
      async () => theirs.push(await inSchema(url, (schema) => pgBossJobs(url, schema))),
    ];
    for (const measure of round % 2 === 0 ? contenders : contenders.toReversed()) await measure();
    const archives = [
      async () => alone.push(await inSchema(url, (schema) => archiveWith({ url, schema }, 1))),
      async () => together.push(await inSchema(url, (schema) => archiveWith({ url, schema }, HOSTS))),
    ];
    for (const measure of round % 2 === 0 ? archives : archives.toReversed()) await measure();
    pages.push(await inSchema(url, (schema) => lastPages(url, schema)));
    const told = `${ours.at(-1)?.toFixed(0)} and ${theirs.at(-1)?.toFixed(0)} jobs/s, pages ${pages.at(-1)?.toFixed(2)}, archived in ${alone.at(-1)?.toFixed(1)} and ${together.at(-1)?.toFixed(1)} s`;
    console.error(`round ${round === 0 ? 'that does not count' : round}: ${told}`);
  }
  const ratios = ours.map((rate, round) => rate / (theirs[round] ?? Number.NaN)).slice(1);
  const ratio = median(ratios);
  const late = median(pages.slice(1));
  const gains = alone.map((seconds, round) => seconds / (together[round] ?? Number.NaN)).slice(1);
  const gain = median(gains);
  const killed = await inSchema(url, (schema) =>
    archiveWith({ url, schema }, HOSTS, { volumes: VOLUMES_WITH_KILLS, isKilling: true }),
  );
  return [
    {
      name: 'single jobs',
      value: median(ours.slice(1)),
      unit: 'jobs/s',
      rival: `pg-boss, PostgreSQL ${version}`,
      ratio,
      range: rangeOf(ratios),
      goal: 'ratio >= 1.0',
      met: ratio >= 1,
      rounds,
    },
    {
      name: `last pages of ${HISTORY} jobs`,
      value: late,
      unit: 'times the first',
      rival: null,
      ratio: null,
      range: rangeOf(pages.slice(1)),
      goal: '<= 1.5',
      met: late <= 1.5,
      rounds,
    },
    {
      name: `16 volumes archived by ${HOSTS} hosts`,
      value: median(together.slice(1)),
      unit: 's',
      rival: 'one host',
      ratio: gain,
      range: rangeOf(gains),
      goal: 'ratio >= 2.5 times as fast',
      met: gain >= 2.5,
      rounds,
    },
    {
      name: `${VOLUMES_WITH_KILLS} volumes archived while hosts are killed`,
      value: killed,
      unit: 's',
      rival: null,
      ratio: null,
      goal: 'ends, and every copy is good',
      met: true,
      rounds: 1,
    },
  ];
}

async function inSchema<Result>(url: string, work: (schema: string) => Promise<Result>): Promise<Result> {
  const schema = `bench_${randomBytes(8).toString('hex')}`;
  try {
    return await work(schema);
  } finally {
    await runStatements(url, `DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
  }
}

/** Jobs per second: each is added, taken and ended. */
async function singleJobs(url: string, schema: string): Promise<number> {
  await using store = postgresStore({ url, schema });
  await oneJob(store, 0);
  const start = performance.now();
  for (let number = 1; number <= SINGLE_JOBS; number += 1) await oneJob(store, number);
  return SINGLE_JOBS / ((performance.now() - start) / 1000);
}

async function oneJob(store: JobStore, number: number): Promise<void> {
  await store.enqueue(jobOf(number));
  const claim = await store.claim({ now: Date.now(), leaseUntil: Date.now() + 30_000 });
  if (claim === undefined) throw new Error(`job ${number} cannot be taken`);
  await store.finish(claim, { state: 'succeeded', result: { number } }, ENDED);
}

const jobOf = (number: number): NewJob => ({
  id: `job-${String(number).padStart(8, '0')}` as JobId,
  tenant: TENANT,
  actor: 'bench',
  operation: 'protect',
  operationVersion: 1,
  input: { plan: `plan-${number}` },
  createdAt: number,
});

/** The same with pg-boss alone. */
async function pgBossJobs(url: string, schema: string): Promise<number> {
  const boss = new PgBoss({ connectionString: url, schema, schedule: false, supervise: false });
  boss.on('error', (error) => console.error(error));
  await boss.start();
  try {
    await boss.createQueue('bench');
    const one = async (number: number): Promise<void> => {
      await boss.send('bench', { plan: `plan-${number}` });
      const [job] = await boss.fetch('bench');
      if (job === undefined) throw new Error(`job ${number} cannot be fetched`);
      await boss.complete('bench', job.id, { number });
    };
    await one(0);
    const start = performance.now();
    for (let number = 1; number <= SINGLE_JOBS; number += 1) await one(number);
    return SINGLE_JOBS / ((performance.now() - start) / 1000);
  } finally {
    await boss.stop({ graceful: false });
  }
}

/** How long the last pages of a long history take, beside its first ones. */
async function lastPages(url: string, schema: string): Promise<number> {
  await using store = postgresStore({ url, schema });
  await oneJob(store, 0);
  // As so many jobs had left it, without the time that they take.
  await runStatements(
    url,
    `INSERT INTO "${schema}".jobs (id, tenant, actor, operation, operation_version, input, created_at,
       parent, state, epoch, lease_until, not_before, cancel_requested, outcome, started_at, ended_at, usage)
     SELECT 'job-' || lpad(number::text, 8, '0'), tenant, actor, operation, operation_version, input, created_at,
       parent, state, epoch, lease_until, not_before, cancel_requested, outcome, started_at, ended_at, usage
     FROM "${schema}".jobs, generate_series(1, ${HISTORY}) AS number`,
    `ANALYZE "${schema}".jobs`,
  );
  const times: number[] = [];
  let listed = 0;
  let start = performance.now();
  for await (const _ of store.list(TENANT, {})) {
    listed += 1;
    if (listed % PAGE !== 0) continue;
    times.push(performance.now() - start);
    start = performance.now();
  }
  if (listed !== HISTORY + 1) throw new Error(`${listed} jobs were listed`);
  return median(times.slice(-PAGES_LOOKED_AT)) / median(times.slice(0, PAGES_LOOKED_AT));
}
