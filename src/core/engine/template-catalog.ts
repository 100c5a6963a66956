import type {
  JobStore,
  JobTemplate,
  JobTemplateReference,
  ScheduledOperation,
  TemplateCall,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { type CheckedCall, parsePlanOperation } from './schedule-options.ts';
import { type FilledTemplate, fillTemplate } from './template-options.ts';

/** A template, and who has written it. */
export type ListedTemplate = JobTemplate & {
  /** The tenant, or the host for all tenants. */
  readonly origin: 'tenant' | 'host';
};

/** What is to be done with a plan now, and the template that says so, where one does. */
export type ResolvedOperation = {
  /** The call. */
  readonly call: CheckedCall;
  /** Where it is from. */
  readonly template?: JobTemplateReference;
};

/** The templates that a tenant can use: its own, and those of the host. */
export class TemplateCatalog {
  /** What the host has for all tenants, by name. */
  readonly host: ReadonlyMap<string, JobTemplate>;
  readonly #store: Pick<JobStore, 'templates'>;

  constructor(store: Pick<JobStore, 'templates'>, host: ReadonlyMap<string, JobTemplate>) {
    this.#store = store;
    this.host = host;
  }

  /** A template, or undefined. One of the tenant stands before one that the host has come to have later. */
  async get(tenant: TenantId, name: string): Promise<ListedTemplate | undefined> {
    const own = await this.#store.templates.get(tenant, name);
    if (own !== undefined) return listed(own, 'tenant');
    const shared = this.host.get(name);
    return shared && listed(shared, 'host');
  }

  /** All of them: the tenant's in ascending order of name, then the host's. */
  async *list(tenant: TenantId): AsyncGenerator<ListedTemplate> {
    const own = new Set<string>();
    for await (const template of this.#store.templates.list(tenant)) {
      own.add(template.name);
      yield listed(template, 'tenant');
    }
    for (const template of this.host.values()) if (!own.has(template.name)) yield listed(template, 'host');
  }

  /** What a template comes to now: `NOT_FOUND` for an unknown one, `INVALID_OPTIONS` as `fillTemplate`. */
  async fill(
    tenant: TenantId,
    { template: name, arguments: given }: TemplateCall,
  ): Promise<{ readonly call: FilledTemplate; readonly template: JobTemplateReference }> {
    const template = await this.get(tenant, name);
    if (template === undefined) throw new FafnirError('NOT_FOUND', `no such template: ${name}`);
    const { version } = template;
    return { call: fillTemplate(template, given), template: { name, version } };
  }

  /** What a schedule's operation comes to now; of a template as `fill`, and `INVALID_OPTIONS` for one of a restore. */
  async resolve(tenant: TenantId, operation: ScheduledOperation): Promise<ResolvedOperation> {
    if (!('template' in operation)) return { call: parsePlanOperation('schedule', operation) };
    const { call, template } = await this.fill(tenant, operation);
    if (call.name !== 'restore') return { call, template };
    throw new FafnirError(
      'INVALID_OPTIONS',
      `schedule: template ${template.name} restores a checkpoint, and a schedule has none`,
      { hint: 'Run it with templates.run, which is told the checkpoint.' },
    );
  }
}

const listed = (
  { name, description, operation, parameters, version }: JobTemplate,
  origin: ListedTemplate['origin'],
): ListedTemplate => ({ name, description, operation, parameters, version, origin });
