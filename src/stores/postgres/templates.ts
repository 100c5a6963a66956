import type { JobTemplateRecord, TemplateStore } from '../../core/contracts/index.ts';
import { keptTemplateOf, type Row, templateOf } from '../rows.ts';
import { keepTemplate, saysTheSame } from '../template-records.ts';
import { tell } from './audit.ts';
import type { Database, Queries } from './database.ts';

const PAGE = 100;
const FIND = 'SELECT * FROM @templates WHERE tenant = $1 AND name = $2';

/** The templates of a PostgreSQL job store. */
export function postgresTemplates(database: Database): TemplateStore {
  return {
    async put(template, entry) {
      await database.transaction(async (queries) => {
        if (await put(queries, template)) await tell(queries, template.tenant, entry);
      });
    },
    async get(tenant, name) {
      const [row] = await database.all(FIND, tenant, name);
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
    async remove(tenant, name, entry) {
      await database.transaction(async (queries) => {
        const [removed] = await queries.all(
          'DELETE FROM @templates WHERE tenant = $1 AND name = $2 RETURNING name',
          tenant,
          name,
        );
        if (removed !== undefined) await tell(queries, tenant, entry);
      });
    },
  };
}

/** Whether that was a change. */
async function put(queries: Queries, template: JobTemplateRecord): Promise<boolean> {
  const { tenant, name, asked } = keepTemplate(template);
  for (;;) {
    const [added] = await queries.all(
      `INSERT INTO @templates (tenant, name, asked) VALUES ($1, $2, $3)
       ON CONFLICT (tenant, name) DO NOTHING RETURNING name`,
      tenant,
      name,
      asked,
    );
    if (added !== undefined) return true;
    // Locked, so that of two who write the same at once only one changes something.
    const [known] = await queries.all(`${FIND} FOR UPDATE`, tenant, name);
    // It may have been removed since.
    if (known === undefined) continue;
    if (saysTheSame(keptTemplateOf(known), template)) return false;
    await queries.all(
      'UPDATE @templates SET asked = $3 WHERE tenant = $1 AND name = $2',
      tenant,
      name,
      asked,
    );
    return true;
  }
}
