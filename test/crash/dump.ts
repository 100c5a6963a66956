import type { TableRow, Tables } from './case-store.ts';

/** Somebody may ask for a job's end at any time: that is not a worker's write. */
const OF_EVERYBODY = 'cancel_requested';
/** Any engine may deal with what is due, whoever has its jobs. */
const OF_SCHEDULERS = /^schedule/;
/** In SQLite a segment's position has its job's number above this. */
const NUMBER_UNIT = 2 ** 32;
/** Tables that follow from the ends of jobs, also of the parts that a worker has kept. */
const FOLLOWING: ReadonlySet<string> = new Set(['quota_totals', 'quota_reservations']);
/** Whoever looks for a place may clear away those of claims that have ended: they are worth nothing. */
const PLACES = 'job_places';

/**
 * The jobs that a worker may write to all of whose leases end before `until`: its own, as long as nobody took them, and
 * those that wait for anybody.
 */
export function freeJobs(tables: Tables, until: number): ReadonlySet<unknown> {
  const free = jobsOf(tables).filter(
    ({ state, lease_until }) => state === 'queued' || (state === 'running' && Number(lease_until) < until),
  );
  return new Set(free.map(({ id }) => id));
}

/** All rows of a job database that only workers write, as text, but for those of some jobs and their parts. */
export function dumpRows(tables: Tables, of: ReadonlySet<unknown> = new Set()): string {
  const left = jobsOf(tables).filter(({ id, parent }) => of.has(id) || of.has(parent));
  const without = new Set(left.map(({ id }) => id));
  const numbers = new Set(left.map(({ number }) => Number(number)));
  const isDumped = ({ id, job, position, record }: TableRow): boolean =>
    ![id, job, jobTold(record)].some((one) => without.has(one)) &&
    !numbers.has(Math.floor(Number(position) / NUMBER_UNIT));
  const running = new Map(
    jobsOf(tables).flatMap(({ id, state, epoch }) => (state === 'running' ? [[id, epoch]] : [])),
  );
  const isTaken = ({ job, epoch }: TableRow): boolean => running.has(job) && running.get(job) === epoch;
  const rows = [...tables]
    .filter(([name]) => !FOLLOWING.has(name) && !OF_SCHEDULERS.test(name))
    .map(([name, all]) => [name, all.filter((row) => isDumped(row) && (name !== PLACES || isTaken(row)))]);
  return JSON.stringify(rows, (key, value) => (key === OF_EVERYBODY ? undefined : value));
}

/** The job that a record of the audit tells of. */
const jobTold = (record: unknown): unknown =>
  typeof record === 'string' ? JSON.parse(record).object?.job : undefined;

function jobsOf(tables: Tables): readonly TableRow[] {
  const jobs = tables.get('jobs');
  if (jobs === undefined) throw new Error('the job database has no jobs');
  return jobs;
}
