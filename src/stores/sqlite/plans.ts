import type { PlanStore } from '../../core/contracts/index.ts';
import { keepPlan, planExists } from '../plan-records.ts';
import { planOf, type Row } from '../rows.ts';
import { tell } from './audit.ts';
import type { Database } from './database.ts';
import { withinQuota } from './quotas.ts';

const PAGE = 100;

/** The plans of a SQLite job store. */
export function sqlitePlans(database: Database): PlanStore {
  return {
    async create(plan, { quota, audit } = {}) {
      const kept = keepPlan(plan);
      database.transaction(() => {
        const added = database.run(
          `INSERT INTO plans
             (tenant, id, name, provider, resources, exclude, dependencies, incomplete, on_failure, policy,
              retention, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT DO NOTHING`,
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
        if (added === 0) throw planExists(plan);
        withinQuota(database, plan, { plans: 1 }, quota);
        tell(database, plan.tenant, audit);
      });
    },
    async get(tenant, id) {
      const [row] = database.all('SELECT * FROM plans WHERE tenant = ? AND id = ?', tenant, id);
      return row && planOf(row);
    },
    async *list(tenant) {
      let after = '';
      let page: readonly Row[];
      do {
        page = database.all(
          'SELECT * FROM plans WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?',
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
      database.transaction(() => {
        const removed = database.run('DELETE FROM plans WHERE tenant = ? AND id = ?', tenant, id);
        if (removed === 1) tell(database, tenant, entry);
      });
    },
  };
}
