import type { TemplateStore } from '../../core/contracts/index.ts';
import { keptTemplateOf, type Row, templateOf } from '../rows.ts';
import { keepTemplate, saysTheSame } from '../template-records.ts';
import { tell } from './audit.ts';
import type { Database } from './database.ts';

const PAGE = 100;
const FIND = 'SELECT * FROM templates WHERE tenant = ? AND name = ?';

/** The templates of a SQLite job store. */
export function sqliteTemplates(database: Database): TemplateStore {
  return {
    async put(template, entry) {
      const { tenant, name, asked } = keepTemplate(template);
      database.transaction(() => {
        const [known] = database.all(FIND, tenant, name);
        if (known !== undefined && saysTheSame(keptTemplateOf(known), template)) return;
        database.run(
          `INSERT INTO templates (tenant, name, asked) VALUES (?, ?, ?)
           ON CONFLICT (tenant, name) DO UPDATE SET asked = excluded.asked`,
          tenant,
          name,
          asked,
        );
        tell(database, tenant, entry);
      });
    },
    async get(tenant, name) {
      const [row] = database.all(FIND, tenant, name);
      return row && templateOf(row);
    },
    async *list(tenant) {
      let after = '';
      let page: readonly Row[];
      do {
        page = database.all(
          'SELECT * FROM templates WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?',
          tenant,
          after,
          PAGE,
        );
        for (const row of page) {
          const template = templateOf(row);
          after = template.name;
          yield template;
        }
      } while (page.length === PAGE);
    },
    async remove(tenant, name, entry) {
      database.transaction(() => {
        const removed = database.run('DELETE FROM templates WHERE tenant = ? AND name = ?', tenant, name);
        if (removed === 1) tell(database, tenant, entry);
      });
    },
  };
}
