import type { AuditEntry } from './audit.ts';
import type { TenantId } from './identity.ts';
import type { JobTemplateRecord } from './template.ts';

/** Where templates are kept. What a template says is not judged here: the session has checked it. */
export interface TemplateStore {
  /**
   * Keeps a template instead of the tenant's one of that name, where there is one; `INVALID_OPTIONS` for what is not JSON. One
   * that says the same, but for `actor` and `storedAt`, stays as it is: that is no change.
   */
  put(template: JobTemplateRecord, audit?: AuditEntry): Promise<void>;
  /** The template, or undefined where this tenant has none of that name; `CORRUPT` where it is damaged. */
  get(tenant: TenantId, name: string): Promise<JobTemplateRecord | undefined>;
  /** The tenant's templates in ascending order of name; ends with `CORRUPT` at one that is damaged. */
  list(tenant: TenantId): AsyncIterable<JobTemplateRecord>;
  /** Removes a template; a missing one is success. What was made from it stays. */
  remove(tenant: TenantId, name: string, audit?: AuditEntry): Promise<void>;
}
