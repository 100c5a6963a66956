import type { AuditEntry, AuditHead, AuditLog, AuditRecord, TenantId } from '../../core/contracts/index.ts';
import { auditOf, auditRecord, chainOf, headIn, keepAudit } from '../audit.ts';
import type { Row } from '../rows.ts';
import { notify } from './notifications.ts';
import type { Database } from './database.ts';

const PAGE = 100;
const LAST = 'SELECT number, hash FROM audit WHERE chain = ? ORDER BY number DESC LIMIT 1';

/** Adds a record to a chain, where there is something to tell. Called inside the transaction of what it tells of. */
export function tell(database: Database, tenant: TenantId | null, entry: AuditEntry | undefined): void {
  if (entry !== undefined) append(database, tenant, entry);
}

function append(database: Database, tenant: TenantId | null, entry: AuditEntry): AuditRecord {
  const kept = keepAudit(tenant, entry, headOf(database, tenant));
  database.run(
    'INSERT INTO audit (chain, number, at, hash, record) VALUES (?, ?, ?, ?, ?)',
    kept.chain,
    kept.number,
    kept.at,
    kept.hash,
    kept.record,
  );
  notify(database, kept, entry);
  return auditRecord(kept);
}

function headOf(database: Database, tenant: TenantId | null): AuditHead {
  const [row] = database.all(LAST, chainOf(tenant));
  return headIn(row);
}

/** The chains of a SQLite job store. */
export function sqliteAudit(database: Database): AuditLog {
  return {
    async append(tenant, entry) {
      return database.transaction(() => append(database, tenant, entry));
    },
    async *list(tenant, { from = -Infinity, until = Infinity, after = 0 }) {
      let last = after;
      let page: readonly Row[];
      do {
        page = database.all(
          'SELECT * FROM audit WHERE chain = ? AND number > ? AND at >= ? AND at < ? ORDER BY number LIMIT ?',
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
