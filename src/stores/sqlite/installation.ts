import { isInstallation, newInstallation } from '../../core/identity.ts';
import { damaged } from '../records.ts';
import { text } from '../rows.ts';
import type { Database } from './database.ts';

const FIND = `SELECT value FROM meta WHERE name = 'installation'`;
const ADD = `INSERT INTO meta (name, value) VALUES ('installation', ?) ON CONFLICT (name) DO NOTHING`;

/** The id of a store's data; of several processes that ask first, one draws it and the others find it. */
export function sqliteInstallation(database: Database): string {
  let [row] = database.all(FIND);
  if (row === undefined) {
    database.run(ADD, newInstallation());
    [row] = database.all(FIND);
  }
  const id = row && text(row, 'value');
  if (id !== undefined && isInstallation(id)) return id;
  throw damaged('the id of the installation');
}
