import type { TenantId, UsageFilter, UsageRecord } from '../../core/contracts/index.ts';
import { type Row, usageOf } from '../rows.ts';
import type { Queries } from './database.ts';

const PAGE = 100;
// Neither inputs nor outcomes, which may be large.
const COLUMNS = 'id, tenant, actor, operation, parent, state, created_at, started_at, ended_at, usage';

/** What a tenant's ended jobs used, in the order of their ends; read page by page. */
export async function* postgresUsage(
  queries: Queries,
  tenant: TenantId,
  { from = -Infinity, until = Infinity }: UsageFilter,
): AsyncGenerator<UsageRecord> {
  let after = { endedAt: from, id: '' };
  let page: readonly Row[];
  do {
    page = await queries.all(
      `SELECT ${COLUMNS} FROM @jobs
       WHERE usage IS NOT NULL AND tenant = $1 AND (ended_at, id) > ($2, $3) AND ended_at < $4
       ORDER BY ended_at, id LIMIT $5`,
      tenant,
      after.endedAt,
      after.id,
      until,
      PAGE,
    );
    for (const row of page) {
      const record = usageOf(row);
      after = { endedAt: record.endedAt, id: record.job };
      yield record;
    }
  } while (page.length === PAGE);
}
