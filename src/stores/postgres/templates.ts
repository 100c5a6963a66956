import type { TemplateStore } from '../../core/contracts/index.ts';
import { type Row, templateOf } from '../rows.ts';
import { keepTemplate } from '../template-records.ts';
import type { Database } from './database.ts';

const PAGE = 100;

/** The templates of a PostgreSQL job store. */
export function postgresTemplates(database: Database): TemplateStore {
  return {
    async put(template) {
      const { tenant, name, asked } = keepTemplate(template);
      await database.all(
        `INSERT INTO @templates (tenant, name, asked) VALUES ($1, $2, $3)
         ON CONFLICT (tenant, name) DO UPDATE SET asked = excluded.asked`,
        tenant,
        name,
        asked,
      );
    },
    async get(tenant, name) {
      const [row] = await database.all(
        'SELECT * FROM @templates WHERE tenant = $1 AND name = $2',
        tenant,
        name,
      );
      return row && templateOf(row);
    },
    async *list(tenant) {
      let after = '';
      let page: readonly Row[];
      do {
        page = await database.all(
          'SELECT * FROM @templates WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3',
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
      await database.all('DELETE FROM @templates WHERE tenant = $1 AND name = $2', tenant, name);
    },
  };
}
