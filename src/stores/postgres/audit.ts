import type { AuditEntry, AuditHead, AuditLog, AuditRecord, TenantId } from '../../core/contracts/index.ts';
import { auditOf, auditRecord, chainOf, headIn, keepAudit } from '../audit.ts';
import type { Row } from '../rows.ts';
import { notify } from './notifications.ts';
import type { Database, Queries } from './database.ts';

const PAGE = 100;
// Of transactions that append to one chain, each sees what the one before it has committed. A collision of digests only delays.
const ONE_AT_A_TIME = `SELECT pg_advisory_xact_lock(hashtextextended($1, '@audit'::regclass::oid::bigint))`;
const NUMBER = 'number::double precision AS number';
const LAST = `SELECT ${NUMBER}, hash FROM @audit AS records WHERE chain = $1 ORDER BY records.number DESC LIMIT 1`;

/**
 * Adds a record to a chain, where there is something to tell. Called inside the transaction of what it tells of, as the
 * last that this does: whoever has the chain waits for nobody else.
 */
export async function tell(
  queries: Queries,
  tenant: TenantId | null,
  entry: AuditEntry | undefined,
): Promise<void> {
  if (entry !== undefined) await append(queries, tenant, entry);
}

async function append(queries: Queries, tenant: TenantId | null, entry: AuditEntry): Promise<AuditRecord> {
  await queries.all(ONE_AT_A_TIME, chainOf(tenant));
  const kept = keepAudit(tenant, entry, await headOf(queries, tenant));
  await queries.all(
    'INSERT INTO @audit (chain, number, at, hash, record) VALUES ($1, $2, $3, $4, $5)',
    kept.chain,
    kept.number,
    kept.at,
    kept.hash,
    kept.record,
  );
  await notify(queries, kept, entry);
  return auditRecord(kept);
}

async function headOf(queries: Queries, tenant: TenantId | null): Promise<AuditHead> {
  const [row] = await queries.all(LAST, chainOf(tenant));
  return headIn(row);
}

/** The chains of a PostgreSQL job store. */
export function postgresAudit(database: Database): AuditLog {
  return {
    async append(tenant, entry) {
      return database.transaction((queries) => append(queries, tenant, entry));
    },
    async *list(tenant, { from = -Infinity, until = Infinity, after = 0 }) {
      let last = after;
      let page: readonly Row[];
      do {
        page = await database.all(
          `SELECT chain, ${NUMBER}, at, hash, record FROM @audit AS records
           WHERE chain = $1 AND records.number > $2 AND at >= $3 AND at < $4 ORDER BY records.number LIMIT $5`,
          chainOf(tenant),
          last,
          from,
          until,
          PAGE,
        );
        for (const row of page) {
          const record = auditOf(row);
          last = record.number;
          yield record;
        }
      } while (page.length === PAGE);
    },
    async head(tenant) {
      return headOf(database, tenant);
    },
  };
}
