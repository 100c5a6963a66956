import type { PlanId, PlanRecord, PlanStore, TenantId } from '../../core/contracts/index.ts';
import { keepPlan, planExists, planRecord } from '../plan-records.ts';
import { type Database, number, type Row, text } from './database.ts';

const PAGE = 100;

/** The plans of a SQLite job store. */
export function sqlitePlans(database: Database): PlanStore {
  return {
    async create(plan) {
      const kept = keepPlan(plan);
      const added = database.transaction(() =>
        database.run(
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
        ),
      );
      if (added === 0) throw planExists(plan);
    },
    async get(tenant, id) {
      const [row] = database.all('SELECT * FROM plans WHERE tenant = ? AND id = ?', tenant, id);
      return row && fromRow(row);
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
          const plan = fromRow(row);
          after = plan.id;
          yield plan;
        }
      } while (page.length === PAGE);
    },
    async remove(tenant, id) {
      database.transaction(() => database.run('DELETE FROM plans WHERE tenant = ? AND id = ?', tenant, id));
    },
  };
}

function fromRow(row: Row): PlanRecord {
  return planRecord({
    id: text(row, 'id') as PlanId,
    tenant: text(row, 'tenant') as TenantId,
    name: text(row, 'name'),
    provider: text(row, 'provider'),
    resources: text(row, 'resources'),
    exclude: text(row, 'exclude'),
    dependencies: text(row, 'dependencies'),
    incomplete: text(row, 'incomplete'),
    onFailure: text(row, 'on_failure'),
    policy: text(row, 'policy'),
    retention: text(row, 'retention'),
    createdAt: number(row, 'created_at'),
  });
}
