import { DatabaseSync } from 'node:sqlite';

/** Somebody may ask for a job's end at any time: that is not a worker's write. */
const OF_EVERYBODY = 'cancel_requested';
const BUSY_TIMEOUT = 5_000;
/** A segment's position has its job's number above this. */
const NUMBER_UNIT = 2 ** 32;

/**
 * The jobs that a worker may write to all of whose leases end before `until`: its own, as long as nobody took them, and
 * those that wait for anybody.
 */
export function freeJobs(path: string, until: number): ReadonlySet<string> {
  using database = open(path);
  const free = `SELECT id FROM jobs WHERE state = 'queued' OR (state = 'running' AND lease_until < ?)`;
  return new Set(
    database
      .prepare(free)
      .all(until)
      .map(({ id }) => String(id)),
  );
}

/** All rows of a job database that only workers write, as text, but for those of some jobs and their parts. */
export function dumpRows(path: string, of: ReadonlySet<unknown> = new Set()): string {
  using database = open(path);
  const named = database.prepare('SELECT number, id, parent FROM jobs').all();
  const left = named.filter(({ id, parent }) => of.has(id) || of.has(parent));
  const without = new Set<unknown>(left.map(({ id }) => id));
  const numbers = new Set(left.map(({ number }) => Number(number)));
  const isDumped = ({ id, job, position }: Readonly<Record<string, unknown>>): boolean =>
    !without.has(id) && !without.has(job) && !numbers.has(Math.floor(Number(position) / NUMBER_UNIT));
  const tables = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).all();
  const rows = tables.map(({ name }) => {
    return [name, database.prepare(`SELECT * FROM "${name}"`).all().filter(isDumped)];
  });
  return JSON.stringify(rows, (key, value) => (key === OF_EVERYBODY ? undefined : value));
}

const open = (path: string): DatabaseSync =>
  new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT });
