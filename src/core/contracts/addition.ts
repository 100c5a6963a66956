import type { AuditEntry } from './audit.ts';
import type { Quota } from './quota.ts';

/** What comes with something that is added for a tenant. */
export type Addition = {
  /** What the tenant may have, this included; where it would be more, the call rejects with `QUOTA_EXCEEDED`. */
  readonly quota?: Quota;
  /** What the tenant's chain is to tell of it, where it is new. */
  readonly audit?: AuditEntry;
};
