import type { AuditEntry, AuditLog, JobStore, TenantId } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { BrokenStore } from './broken-stores.ts';

type Telling = (log: AuditLog, tenant: TenantId, entry: AuditEntry | undefined) => Promise<unknown>;

const tell: Telling = async (log, tenant, entry) => entry && log.append(tenant, entry);

/** A store that tells by a call of its own, not in the transaction of what it tells of. */
function telling(before: Telling, after: Telling): () => JobStore {
  return () => {
    const store = memoryStore();
    const { audit } = store;
    return {
      ...store,
      enqueue: async (job, parent, { audit: entry, ...addition } = {}) => {
        await before(audit, job.tenant, entry);
        const added = await store.enqueue(job, parent, addition);
        await after(audit, job.tenant, entry);
        return added;
      },
      append: async (claim, rows, entries = []) => {
        for (const entry of entries) await before(audit, claim.job.tenant, entry);
        await store.append(claim, rows);
        for (const entry of entries) await after(audit, claim.job.tenant, entry);
      },
      finish: async (claim, outcome, { audit: entry, ...end }) => {
        await before(audit, claim.job.tenant, entry);
        await store.finish(claim, outcome, end);
        await after(audit, claim.job.tenant, entry);
      },
    };
  };
}

const nothing: Telling = async () => undefined;

function changing(change: (log: AuditLog) => Partial<AuditLog>): () => JobStore {
  return () => {
    const store = memoryStore();
    return { ...store, audit: { ...store.audit, ...change(store.audit) } };
  };
}

/** Doubles with careless chains that the suite must catch. */
export const BROKEN_AUDITS: readonly BrokenStore[] = [
  {
    forgets: 'to tell',
    foundBy: ['a job is told of once', 'an end is told of once', 'told with them', 'follow one another'],
    create: telling(nothing, nothing),
  },
  {
    forgets: 'that what was refused is not told',
    foundBy: ['a job is told of once', 'an end is told of once', 'told with them'],
    create: telling(tell, nothing),
  },
  {
    forgets: 'that a repeat is not told',
    foundBy: ['a job is told of once'],
    create: telling(nothing, tell),
  },
  {
    forgets: 'whose chain it is',
    foundBy: ['each tenant and the operators have a chain'],
    create: changing((log) => ({ append: (_, entry) => log.append(null, entry) })),
  },
  {
    forgets: 'why something was done',
    foundBy: ['an entry comes back as it was'],
    create: changing((log) => ({
      append: (tenant, { reason: _, ...entry }) => log.append(tenant, entry),
    })),
  },
  {
    forgets: 'which records were asked for',
    foundBy: ['the records of a time and after a number'],
    create: changing((log) => ({ list: (tenant) => log.list(tenant, {}) })),
  },
];
