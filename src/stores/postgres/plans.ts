import type { PlanStore } from '../../core/contracts/index.ts';
import { keepPlan, planExists } from '../plan-records.ts';
import { planOf, type Row } from '../rows.ts';
import { tell } from './audit.ts';
import type { Database } from './database.ts';
import { withinQuota } from './quotas.ts';

const PAGE = 100;

/** The plans of a PostgreSQL job store. */
export function postgresPlans(database: Database): PlanStore {
  return {
    async create(plan, { quota, audit } = {}) {
      const kept = keepPlan(plan);
      await database.transaction(async (queries) => {
        const [added] = await queries.all(
          `INSERT INTO @plans
           (tenant, id, name, provider, resources, exclude, dependencies, incomplete, on_failure, policy,
            retention, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT DO NOTHING RETURNING id`,
          kept.tenant,
          kept.id,
          kept.name,
          kept.provider,
          kept.resources,
          kept.exclude,
          kept.dependencies,
          kept.incomplete,
          kept.onFailure,
          kept.policy,
          kept.retention,
          kept.createdAt,
        );
        if (added === undefined) throw planExists(plan);
        await withinQuota(queries, plan, { plans: 1 }, quota);
        await tell(queries, plan.tenant, audit);
      });
    },
    async get(tenant, id) {
      const [row] = await database.all('SELECT * FROM @plans WHERE tenant = $1 AND id = $2', tenant, id);
      return row && planOf(row);
    },
    async *list(tenant) {
      let after = '';
      let page: readonly Row[];
      do {
        page = await database.all(
          'SELECT * FROM @plans WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3',
          tenant,
          after,
          PAGE,
        );
        for (const row of page) {
          const plan = planOf(row);
          after = plan.id;
          yield plan;
        }
      } while (page.length === PAGE);
    },
    async remove(tenant, id, entry) {
      await database.transaction(async (queries) => {
        const [removed] = await queries.all(
          'DELETE FROM @plans WHERE tenant = $1 AND id = $2 RETURNING id',
          tenant,
          id,
        );
        if (removed !== undefined) await tell(queries, tenant, entry);
      });
    },
  };
}
