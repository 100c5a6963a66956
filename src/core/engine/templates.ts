import type { CheckpointId, PlanId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseCheckpointId, parsePlanId } from '../identity.ts';
import type { CollectResult } from '../operations/collect.ts';
import type { ProtectResult } from '../operations/protect-commit.ts';
import type { RestoreResult } from '../operations/restore-input.ts';
import type { RetainResult } from '../operations/retain.ts';
import type { VerifyResult } from '../operations/verify.ts';
import { entryOf, parseReasoned, type Reasoned } from './auditing.ts';
import type { Job } from './job.ts';
import { inputOf } from './plan-operation.ts';
import type { Session } from './session.ts';
import type { SessionServices } from './session-services.ts';
import { type JobOptions, submitJob } from './submit.ts';
import type { ListedTemplate } from './template-catalog.ts';
import { parseTemplate, type TemplateRequest } from './template-options.ts';
import { parseTemplateUse, type TemplateUse } from './template-use.ts';

/** What a job that was made from a template with a plan makes, by the template's operation. */
export type TemplateResult = ProtectResult | VerifyResult | RetainResult | CollectResult;

/** What a call says that makes a job from a template of something that is done with a plan. */
export interface RunOnPlan extends JobOptions, Pick<TemplateUse, 'arguments'> {
  /** With which plan. */
  readonly plan: PlanId;
}

/** What a call says that makes a job from a template of a restore. */
export interface RunOnCheckpoint extends JobOptions, Pick<TemplateUse, 'arguments'> {
  /** What is restored. */
  readonly checkpoint: CheckpointId;
}

/** What a call that makes a job from a template says. */
export type RunTemplateOptions = RunOnPlan | RunOnCheckpoint;

/** A tenant's templates, and those of the host: work that is asked for again by name. */
export class Templates {
  readonly #services: SessionServices;
  readonly #session: Session;

  /** Made by the session. */
  constructor(services: SessionServices, session: Session) {
    this.#services = services;
    this.#session = session;
  }

  /**
   * Keeps a template instead of the tenant's one of that name, where there is one; schedules of it do from then on what
   * it says. Where that says the same nothing is changed. `ALREADY_EXISTS` for a name of the host's, `INVALID_OPTIONS`
   * for one that nothing could be made from, `LIMIT_EXCEEDED` above 16 KiB as JSON.
   */
  async put(request: TemplateRequest, options: Reasoned = {}): Promise<ListedTemplate> {
    const { store, templates, clock } = this.#services;
    const { tenant, actor } = this.#session;
    const by = { actor, ...parseReasoned('templates.put', options) };
    const template = parseTemplate('templates.put', request);
    if (templates.host.has(template.name)) {
      throw new FafnirError('ALREADY_EXISTS', `the host has a template named ${template.name}`);
    }
    const { name, version } = template;
    const entry = entryOf(this.#services, by, 'template.stored', { template: name, version });
    await store.templates.put({ ...template, tenant, actor, storedAt: clock.now() }, entry);
    return { ...template, origin: 'tenant' };
  }

  /** A template, or undefined where neither the tenant nor the host has one of that name. */
  async get(name: string): Promise<ListedTemplate | undefined> {
    return this.#services.templates.get(this.#session.tenant, name);
  }

  /** All that can be used: the tenant's in ascending order of name, then the host's. */
  list(): AsyncIterable<ListedTemplate> {
    return this.#services.templates.list(this.#session.tenant);
  }

  /** Removes a template of the tenant; a missing one is success. Jobs stay; ticks of its schedules are missed. */
  async remove(name: string, options: Reasoned = {}): Promise<void> {
    const { tenant, actor } = this.#session;
    const by = { actor, ...parseReasoned('templates.remove', options) };
    const entry = entryOf(this.#services, by, 'template.removed', { template: name });
    return this.#services.store.templates.remove(tenant, name, entry);
  }

  /**
   * Makes a job of what a template says now, with a checkpoint where it is of a restore, else with a plan; the job's record
   * names the template and the version. `NOT_FOUND` for an unknown template or plan, or where there is nothing to verify;
   * `INVALID_OPTIONS` for an argument that is missing, unknown or of a wrong type, and for a plan in the place of a
   * checkpoint or the other way round; `REFUSED_BY_POLICY` as for `session.protect`.
   */
  run(name: string, options: RunOnCheckpoint): Promise<Job<RestoreResult>>;
  run(name: string, options: RunOnPlan): Promise<Job<TemplateResult>>;
  async run(
    name: string,
    { arguments: given = {}, ...asked }: RunTemplateOptions,
  ): Promise<Job<RestoreResult> | Job<TemplateResult>> {
    const { templates, operations } = this.#services;
    const { tenant } = this.#session;
    const submitter = { services: this.#services, session: this.#session };
    const use = parseTemplateUse('templates.run', { template: name, arguments: given });
    const { call, template } = await templates.fill(tenant, use);
    if (call.name === 'restore') {
      if (!('checkpoint' in asked)) throw needs(name, 'checkpoint');
      const { checkpoint, ...options } = asked;
      const input = { checkpoint: parseCheckpointId(checkpoint), ...call.options };
      return submitJob<RestoreResult>(submitter, { operation: 'restore', input, template }, options);
    }
    if (!('plan' in asked)) throw needs(name, 'plan');
    const { plan: id, ...options } = asked;
    const plan = await operations.plan(tenant, parsePlanId(id));
    const input = await inputOf(operations, plan, call);
    return submitJob<TemplateResult>(submitter, { operation: call.name, input, template }, options);
  }
}

const needs = (name: string, what: 'plan' | 'checkpoint'): FafnirError =>
  new FafnirError('INVALID_OPTIONS', `templates.run: template ${name} is run with a ${what}`);
