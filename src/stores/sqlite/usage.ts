import type { JobId, TenantId, UsageFilter, UsageRecord } from '../../core/contracts/index.ts';
import { damaged, isJobState } from '../records.ts';
import { usageRecord } from '../usage.ts';
import { type Database, number, type Row, text, textOrNull } from './database.ts';

const PAGE = 100;
// Neither inputs nor outcomes, which may be large.
const COLUMNS = 'id, tenant, actor, operation, parent, state, created_at, started_at, ended_at, usage';

/** What a tenant's ended jobs used, in the order of their ends; read page by page. */
export async function* sqliteUsage(
  database: Database,
  tenant: TenantId,
  { from = -Infinity, until = Infinity }: UsageFilter,
): AsyncGenerator<UsageRecord> {
  let after = { endedAt: from, id: '' };
  let page: readonly Row[];
  do {
    page = database.all(
      `SELECT ${COLUMNS} FROM jobs INDEXED BY jobs_by_end
         WHERE usage IS NOT NULL AND tenant = ? AND (ended_at, id) > (?, ?) AND ended_at < ?
         ORDER BY ended_at, id LIMIT ?`,
      tenant,
      after.endedAt,
      after.id,
      until,
      PAGE,
    );
    for (const row of page) {
      const record = fromRow(row);
      after = { endedAt: record.endedAt, id: record.job };
      yield record;
    }
  } while (page.length === PAGE);
}

function fromRow(row: Row): UsageRecord {
  const id = text(row, 'id') as JobId;
  const state = text(row, 'state');
  if (!isJobState(state) || state === 'queued' || state === 'running')
    throw damaged(`the state of job ${id}`);
  return usageRecord({
    id,
    tenant: text(row, 'tenant') as TenantId,
    actor: text(row, 'actor'),
    operation: text(row, 'operation'),
    parent: textOrNull(row, 'parent') as JobId | null,
    state,
    createdAt: number(row, 'created_at'),
    startedAt: number(row, 'started_at'),
    endedAt: number(row, 'ended_at'),
    usage: text(row, 'usage'),
  });
}
