import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FafnirError } from '../../core/errors.ts';
import { errnoOf } from '../../core/file-errors.ts';
import { isBusy, storeError } from './errors.ts';
import { assertLocalFileSystem } from './file-system.ts';
import { APPLICATION_ID, MIGRATIONS } from './migrations.ts';

const BUSY_TIMEOUT = 5_000;
const WAL_ATTEMPTS = 20;
// A commit that ends with a checkpoint stalls the event loop for as long as that takes: by default, 1,000 pages.
const CHECKPOINT_PAGES = 400;

/** Opens a job store's file, making it where there is none, and brings its schema to this version. */
export function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    createFile(path);
    database = new DatabaseSync(path, {
      timeout: BUSY_TIMEOUT,
      enableForeignKeyConstraints: false,
      defensive: true,
    });
    database.exec('BEGIN');
    readVersion(database, path);
    database.exec('COMMIT');
    enableWriteAheadLog(database, path);
    database.exec(`PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    migrate(database, path);
    database.exec('PRAGMA foreign_keys = ON');
    return database;
  } catch (error) {
    database?.close();
    throw storeError(path, error);
  }
}

/**
 * Makes the file readable by its owner only; SQLite's files beside it take over the mode. A file that exists is not
 * opened here: closing it would drop the locks that other connections of this process hold on it.
 */
function createFile(path: string): void {
  try {
    assertLocalFileSystem(path);
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw missingDirectory(path, error);
    if (code !== 'EEXIST') throw error;
    accessSync(path, constants.R_OK | constants.W_OK);
  }
}

function missingDirectory(path: string, cause: unknown): FafnirError {
  return new FafnirError('NOT_FOUND', `the directory of the job store does not exist: ${dirname(path)}`, {
    cause,
    hint: 'Create the directory, or correct the path.',
  });
}

function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}

/**
 * The version of the file's schema; 0 for an empty file. Refuses a file that another program or a newer version
 * made. Called inside a transaction, or a migration by another process could fall between the reads.
 */
function readVersion(database: DatabaseSync, path: string): number {
  const version = Number(pragma(database, 'user_version'));
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    if (database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined) return 0;
    throw new FafnirError('INVALID_OPTIONS', `path: ${path} is the database of another program`, {
      hint: 'Give the path of a job store, or of a file that does not exist yet.',
    });
  }
  if (version <= MIGRATIONS.length) return version;
  throw new FafnirError(
    'UNSUPPORTED',
    `job store ${path} has version ${version}, newer than ${MIGRATIONS.length}`,
    { hint: 'Use the version of this package that wrote the file, or a newer one.' },
  );
}

/** The change to a write-ahead log does not wait for a lock of another process, but an empty transaction does. */
function enableWriteAheadLog(database: DatabaseSync, path: string): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      break;
    } catch (error) {
      if (!isBusy(error) || attempt === WAL_ATTEMPTS) throw error;
      database.exec('BEGIN IMMEDIATE; COMMIT');
    }
  }
  if (pragma(database, 'journal_mode') === 'wal') return;
  throw new FafnirError('UNSUPPORTED', `the file system of ${path} cannot hold a write-ahead log`, {
    hint: 'Put the job store on a local disk.',
  });
}

/** Under the write lock, so that of several processes one migrates and the others find it done. */
function migrate(database: DatabaseSync, path: string): void {
  database.exec('BEGIN IMMEDIATE');
  const version = readVersion(database, path);
  for (const step of MIGRATIONS.slice(version)) database.exec(step);
  if (version < MIGRATIONS.length) {
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}`);
  }
  database.exec('COMMIT');
}
