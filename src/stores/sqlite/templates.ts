import type { TemplateStore } from '../../core/contracts/index.ts';
import { type Row, templateOf } from '../rows.ts';
import { keepTemplate } from '../template-records.ts';
import type { Database } from './database.ts';

const PAGE = 100;

/** The templates of a SQLite job store. */
export function sqliteTemplates(database: Database): TemplateStore {
  return {
    async put(template) {
      const { tenant, name, asked } = keepTemplate(template);
      database.run(
        `INSERT INTO templates (tenant, name, asked) VALUES (?, ?, ?)
         ON CONFLICT (tenant, name) DO UPDATE SET asked = excluded.asked`,
        tenant,
        name,
        asked,
      );
    },
    async get(tenant, name) {
      const [row] = database.all('SELECT * FROM templates WHERE tenant = ? AND name = ?', tenant, name);
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
    async remove(tenant, name) {
      database.run('DELETE FROM templates WHERE tenant = ? AND name = ?', tenant, name);
    },
  };
}
