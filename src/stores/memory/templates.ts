import type { TemplateStore, TenantId } from '../../core/contracts/index.ts';
import { type KeptTemplate, keepTemplate, saysTheSame, templateRecord } from '../template-records.ts';
import type { MemoryAudit } from './audit.ts';

/** The templates of a memory store. */
export function memoryTemplates(assertOpen: () => void, audit: MemoryAudit): TemplateStore {
  const tenants = new Map<TenantId, Map<string, KeptTemplate>>();

  return {
    async put(template, entry) {
      assertOpen();
      const kept = keepTemplate(template);
      const templates = tenants.get(kept.tenant) ?? new Map<string, KeptTemplate>();
      const known = templates.get(kept.name);
      if (known !== undefined && saysTheSame(known, template)) return;
      tenants.set(kept.tenant, templates.set(kept.name, kept));
      audit.tell(kept.tenant, entry);
    },
    async get(tenant, name) {
      assertOpen();
      const kept = tenants.get(tenant)?.get(name);
      return kept && templateRecord(kept);
    },
    async *list(tenant) {
      assertOpen();
      for (const name of [...(tenants.get(tenant)?.keys() ?? [])].sort()) {
        assertOpen();
        const kept = tenants.get(tenant)?.get(name);
        if (kept !== undefined) yield templateRecord(kept);
      }
    },
    async remove(tenant, name, entry) {
      assertOpen();
      if (tenants.get(tenant)?.delete(name)) audit.tell(tenant, entry);
    },
  };
}
