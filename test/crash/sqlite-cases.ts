import { rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { sqliteStore } from '../../src/stores/sqlite.ts';
import type { CaseStore } from './case-store.ts';
import { pathsOf } from './paths.ts';

const BUSY_TIMEOUT = 5_000;

/** A file in the directory of the case. */
export const sqliteCases: CaseStore = {
  name: 'sqlite',
  open: (directory) => sqliteStore(pathsOf(directory).store),
  copy: async () => undefined,
  async lose(directory) {
    const { store } = pathsOf(directory);
    for (const ending of ['', '-wal', '-shm']) await rm(`${store}${ending}`, { force: true });
  },
  clear: async () => undefined,
  async tables(directory) {
    using database = new DatabaseSync(pathsOf(directory).store, { readOnly: true, timeout: BUSY_TIMEOUT });
    database.exec('BEGIN');
    const named = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).all();
    return new Map(
      named.map(({ name }) => [String(name), database.prepare(`SELECT * FROM "${name}"`).all()]),
    );
  },
};
