import { NO_RECORDS } from '../../core/audit.ts';
import type {
  AuditEntry,
  AuditLog,
  AuditRecord,
  NotificationStore,
  TenantId,
} from '../../core/contracts/index.ts';
import { memoryNotifications } from './notifications.ts';
import { auditRecord, chainOf, type KeptAudit, keepAudit } from '../audit.ts';

/** The chains of a memory store. */
export interface MemoryAudit {
  /** The contract's part. */
  readonly log: AuditLog;
  /** Who has still to hear of it. */
  readonly notifications: NotificationStore;
  /** Adds a record to a chain, where there is something to tell. */
  tell(tenant: TenantId | null, entry: AuditEntry | undefined): void;
}

/** The chains of a memory store; `assertOpen` rejects a call of a closed one. */
export function memoryAudit(assertOpen: () => void): MemoryAudit {
  const chains = new Map<string, KeptAudit[]>();
  const notifications = memoryNotifications(assertOpen, (chain, number) => chains.get(chain)?.[number - 1]);

  function last(tenant: TenantId | null): AuditRecord | undefined {
    const kept = chains.get(chainOf(tenant))?.at(-1);
    return kept && auditRecord(kept);
  }

  function append(tenant: TenantId | null, entry: AuditEntry): AuditRecord {
    const kept = keepAudit(tenant, entry, last(tenant) ?? NO_RECORDS);
    const chain = chains.get(kept.chain) ?? [];
    chains.set(kept.chain, chain);
    chain.push(kept);
    notifications.notify(kept, entry);
    return auditRecord(kept);
  }

  return {
    notifications: notifications.store,
    log: {
      async append(tenant, entry) {
        assertOpen();
        return append(tenant, entry);
      },
      async *list(tenant, { from = -Infinity, until = Infinity, after = 0 }) {
        assertOpen();
        for (const kept of [...(chains.get(chainOf(tenant)) ?? [])]) {
          assertOpen();
          if (kept.number > after && kept.at >= from && kept.at < until) yield auditRecord(kept);
        }
      },
      async head(tenant) {
        assertOpen();
        const { number, hash } = last(tenant) ?? NO_RECORDS;
        return { number, hash };
      },
    },
    tell(tenant, entry) {
      if (entry !== undefined) append(tenant, entry);
    },
  };
}
