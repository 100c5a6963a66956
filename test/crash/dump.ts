import { DatabaseSync } from 'node:sqlite';

/** Somebody may ask for a job's end at any time: that is not a worker's write. */
const OF_EVERYBODY = 'cancel_requested';
const BUSY_TIMEOUT = 5_000;

/** All rows of a job database that only workers write, as text. */
export function dumpRows(path: string): string {
  const database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT });
  try {
    const tables = database
      .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
      .all();
    const rows = tables.map(({ name }) => [name, database.prepare(`SELECT * FROM "${name}"`).all()]);
    return JSON.stringify(rows, (key, value) => (key === OF_EVERYBODY ? undefined : value));
  } finally {
    database.close();
  }
}
