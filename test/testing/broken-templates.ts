import type { JobStore, JobTemplateRecord, TemplateStore } from '../../src/core/contracts/index.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import type { BrokenStore } from './broken-stores.ts';

/** A store whose templates are sound but for what is changed. */
const changed = (change: (templates: TemplateStore) => Partial<TemplateStore>) => (): JobStore => {
  const store = memoryStore();
  return { ...store, templates: { ...store.templates, ...change(store.templates) } };
};

const keeping = (change: (template: JobTemplateRecord) => JobTemplateRecord): (() => JobStore) =>
  changed(({ put }) => ({ put: (template, audit) => put(change(template), audit) }));

/** Doubles with careless templates that the suite must catch. */
export const BROKEN_TEMPLATES: readonly BrokenStore[] = [
  {
    forgets: 'what a template leaves open',
    foundBy: ['a template comes back as it was'],
    create: keeping((template) => ({ ...template, parameters: {} })),
  },
  {
    forgets: 'that a template is replaced',
    foundBy: ['put again is replaced'],
    create: changed(({ get, put }) => ({
      put: async (template, audit) => {
        if ((await get(template.tenant, template.name)) === undefined) await put(template, audit);
      },
    })),
  },
  {
    forgets: 'that a template may say the same as before',
    foundBy: ['says the same stays as it was', 'a template is told of'],
    create: changed(({ put, remove }) => ({
      put: async (template, audit) => {
        await remove(template.tenant, template.name);
        await put(template, audit);
      },
    })),
  },
  {
    forgets: 'to tell of templates',
    foundBy: ['a template is told of'],
    create: changed(({ put, remove }) => ({
      put: (template) => put(template),
      remove: (tenant, name) => remove(tenant, name),
    })),
  },
  {
    forgets: 'whose template it is',
    foundBy: ['another tenant cannot see, list, replace or remove a template'],
    create: changed(({ get, put }) => {
      const owners = new Map<string, JobTemplateRecord['tenant']>();
      return {
        put: async (template, audit) => {
          owners.set(template.name, template.tenant);
          await put(template, audit);
        },
        get: async (tenant, name) => get(owners.get(name) ?? tenant, name),
      };
    }),
  },
  {
    forgets: 'the template that a job was made from',
    foundBy: ['a job tells the template'],
    create: () => {
      const store = memoryStore();
      return { ...store, enqueue: ({ template: _, ...job }, parent) => store.enqueue(job, parent) };
    },
  },
];
