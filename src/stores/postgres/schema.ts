import { FafnirError } from '../../core/errors.ts';
import { number } from '../rows.ts';
import type { Database, Queries } from './database.ts';
import { MIGRATIONS, type Migration } from './migrations.ts';

/** Marks a schema as a job store of this package. */
const MARK = 'fafnir job store';

type Versions = {
  /** How many migrations the schema has had. */
  readonly version: number;
  /** The oldest version of this package's schema whose code may still use it. */
  readonly usableFrom: number;
};

type Opening = Pick<Database, 'schema' | 'all' | 'transaction'>;

/**
 * Brings a schema to this version, or finds it newer and still usable. Of several processes one changes it, under a lock,
 * and the others wait. A user without the right to change it can use one that is up to date.
 */
export async function bringUpToDate(
  database: Opening,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const { schema } = database;
  if ((await readVersions(database, schema, migrations)).version >= migrations.length) return;
  await database.transaction(async (queries) => {
    await queries.all(`SELECT set_config('lock_timeout', '0', true)`);
    await queries.all(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, `${MARK} ${schema}`);
    const { version, usableFrom } = await readVersions(queries, schema, migrations);
    if (version >= migrations.length) return;
    if (!(await exists(queries, schema))) await queries.all(`CREATE SCHEMA "${schema}"`);
    const missing = migrations.slice(version);
    for (const { statements } of missing) for (const sql of statements) await queries.all(sql);
    const breaking = migrations.findLastIndex(({ breaks }) => breaks === true) + 1;
    await queries.all('DELETE FROM @versions');
    await queries.all(
      'INSERT INTO @versions (mark, version, usable_from) VALUES ($1, $2, $3)',
      MARK,
      migrations.length,
      Math.max(usableFrom, breaking),
    );
  });
}

async function exists(queries: Queries, schema: string): Promise<boolean> {
  const [row] = await queries.all('SELECT 1 FROM pg_namespace WHERE nspname = $1', schema);
  return row !== undefined;
}

async function readVersions(
  queries: Queries,
  schema: string,
  migrations: readonly Migration[],
): Promise<Versions> {
  const names = await queries.all(
    'SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = $1',
    schema,
  );
  if (names.length === 0) return { version: 0, usableFrom: 1 };
  if (!names.some((row) => row.relname === 'versions')) throw ofAnother(schema);
  const [row] = await queries.all('SELECT * FROM @versions');
  if (row?.mark !== MARK) throw ofAnother(schema);
  const versions = { version: number(row, 'version'), usableFrom: number(row, 'usable_from') };
  if (versions.usableFrom <= migrations.length) return versions;
  const { version, usableFrom } = versions;
  throw new FafnirError(
    'UNSUPPORTED',
    `job store ${schema} has version ${version}, which needs code of version ${usableFrom} or later; this is ${migrations.length}`,
    { hint: 'Use the version of this package that changed the store, or a newer one.' },
  );
}

function ofAnother(schema: string): FafnirError {
  return new FafnirError('INVALID_OPTIONS', `schema: ${schema} has tables of another program`, {
    hint: 'Give the schema of a job store, or one that does not exist yet.',
  });
}
