import type { TemplateStore, TenantId } from '../../core/contracts/index.ts';
import { type KeptTemplate, keepTemplate, templateRecord } from '../template-records.ts';

/** The templates of a memory store. */
export function memoryTemplates(assertOpen: () => void): TemplateStore {
  const tenants = new Map<TenantId, Map<string, KeptTemplate>>();

  return {
    async put(template) {
      assertOpen();
      const kept = keepTemplate(template);
      const templates = tenants.get(kept.tenant) ?? new Map<string, KeptTemplate>();
      tenants.set(kept.tenant, templates.set(kept.name, kept));
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
    async remove(tenant, name) {
      assertOpen();
      tenants.get(tenant)?.delete(name);
    },
  };
}
