import type {
  AuditAction,
  AuditEntry,
  NewSchedule,
  PauseScope,
  PlanId,
  ScheduleId,
  ScheduleRecord,
  ScheduleTick,
  TenantId,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parsePlanId, parseScheduleId, parseTenantId } from '../identity.ts';
import { openCalendar } from '../policy/calendar/calendar.ts';
import { positionAt } from '../policy/calendar/due-ticks.ts';
import { entryOf, type OperatorCall, parseOperator, parseReasoned, type Reasoned } from './auditing.ts';
import { parseScheduleRequest, type ScheduleRequest } from './schedule-options.ts';
import type { SessionServices } from './session-services.ts';

const LONGEST_EVENT = 255;

/** What of a tenant's stands still: one schedule, or all of a plan. */
export type TenantPause =
  | {
      /** One schedule. */
      readonly schedule: ScheduleId;
    }
  | {
      /** All schedules of a plan, also those that are made later. */
      readonly plan: PlanId;
    };

/** A tenant's schedules. Of credentials they keep nothing: a job has them from the provider when it runs. */
export class Schedules {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;
  readonly #actor: string;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId, actor: string) {
    this.#services = services;
    this.#tenant = tenant;
    this.#actor = actor;
  }

  /**
   * Adds a schedule; its jobs act in the name of this session's actor. `NOT_FOUND` for an unknown plan or template,
   * `INVALID_OPTIONS` for a rule that cannot be read or has no tick and for arguments that a template refuses, `LIMIT_EXCEEDED` for
   * one that is too long, `QUOTA_EXCEEDED` where the tenant may have no more.
   */
  async create(request: ScheduleRequest, options: Reasoned = {}): Promise<ScheduleRecord> {
    const { store, operations, templates, scheduler, quotaOf, clock, ids } = this.#services;
    const { when, ...asked } = parseScheduleRequest(request);
    const plan = await operations.plan(this.#tenant, parsePlanId(asked.plan));
    // What it comes to now is no more than tried: each tick asks anew.
    const { call } = await templates.resolve(this.#tenant, asked.operation);
    const { site } = operations.provider(plan.provider, this.#tenant);
    const now = clock.now();
    const { window = 600_000, jitter = 0, timeZone = 'UTC', start = now, ...rule } = when ?? {};
    const schedule: NewSchedule = {
      id: parseScheduleId(ids(now)),
      tenant: this.#tenant,
      actor: this.#actor,
      plan: plan.id,
      site,
      when: when === undefined ? null : { ...rule, timeZone, start },
      windowMilliseconds: window,
      jitterMilliseconds: jitter,
      operation: asked.operation,
      missed: asked.missed,
      overlap: asked.overlap,
      createdAt: now,
      next: null,
      wakeAt: null,
    };
    const about = { schedule: schedule.id, plan: plan.id, operation: call.name };
    const audit = this.#entry('schedules.create', options, 'schedule.created', about);
    const quota = await quotaOf(this.#tenant);
    const addition = { ...(quota && { quota }), audit };
    if (schedule.when === null) return store.schedules.create(schedule, addition);
    const first = (await openCalendar(schedule.when)).after(now - 1);
    if (first === undefined) {
      throw new FafnirError('INVALID_OPTIONS', 'schedules.create: when: it has no tick from now on');
    }
    const created = await store.schedules.create({ ...schedule, ...positionAt(schedule, first) }, addition);
    scheduler.nudge();
    return created;
  }

  /** A schedule, or undefined where the tenant has none of that id. */
  async get(id: ScheduleId): Promise<ScheduleRecord | undefined> {
    return this.#services.store.schedules.get(this.#tenant, parseScheduleId(id));
  }

  /** The tenant's schedules in the order they were made. */
  list(): AsyncIterable<ScheduleRecord> {
    return this.#services.store.schedules.list(this.#tenant);
  }

  /** Removes a schedule with what is recorded of its ticks; a missing one is success. Its jobs and checkpoints stay. */
  async remove(id: ScheduleId, options: Reasoned = {}): Promise<void> {
    const schedule = parseScheduleId(id);
    const entry = this.#entry('schedules.remove', options, 'schedule.removed', { schedule });
    return this.#services.store.schedules.remove(this.#tenant, schedule, entry);
  }

  /** What became of a schedule's ticks in order of time, from a time on where it is given, milliseconds since 1970 UTC. */
  ticks(id: ScheduleId, options: { readonly from?: number } = {}): AsyncIterable<ScheduleTick> {
    return this.#services.store.schedules.ticks(this.#tenant, parseScheduleId(id), options);
  }

  /**
   * Fires a schedule because of something that happened, of which `event` is the host's own name, at most 255 characters.
   * An event fires once: asked again, this tells what became of it. Its pauses and its rule for overlaps hold, but nothing
   * waits here: what would, is fired, and its job waits for what it needs. `NOT_FOUND` for an unknown schedule; an error that
   * is retryable leaves nothing behind.
   */
  async fire(
    id: ScheduleId,
    { event, ...options }: { readonly event: string } & Reasoned,
  ): Promise<ScheduleTick> {
    if (typeof event !== 'string' || event === '' || event.length > LONGEST_EVENT) {
      throw new FafnirError('INVALID_OPTIONS', `schedules.fire: event: 1 to ${LONGEST_EVENT} characters`);
    }
    const by = { actor: this.#actor, ...parseReasoned('schedules.fire', options) };
    return this.#services.scheduler.fire(this.#tenant, parseScheduleId(id), event, by);
  }

  /** From now on nothing of it is fired; its ticks are recorded as missed. May be repeated. */
  async pause(what: TenantPause, options: Reasoned = {}): Promise<void> {
    const scope = this.#scope(what);
    const entry = this.#entry('schedules.pause', options, 'schedule.paused', aboutPause(scope));
    return this.#services.store.schedules.pause(scope, entry);
  }

  /** Ends a pause. What was due before stays missed; nothing happens where there is no such pause. */
  async resume(what: TenantPause, options: Reasoned = {}): Promise<void> {
    const { store, clock, scheduler } = this.#services;
    const scope = this.#scope(what);
    const entry = this.#entry('schedules.resume', options, 'schedule.resumed', aboutPause(scope));
    await store.schedules.resume(scope, clock.now(), entry);
    scheduler.nudge();
  }

  #entry(where: string, options: Reasoned, action: AuditAction, about: AuditEntry['object']): AuditEntry {
    const by = { actor: this.#actor, ...parseReasoned(where, options) };
    return entryOf(this.#services, by, action, about);
  }

  #scope(what: TenantPause): PauseScope {
    const tenant = this.#tenant;
    if ('schedule' in what) return { kind: 'schedule', tenant, schedule: parseScheduleId(what.schedule) };
    return { kind: 'plan', tenant, plan: parsePlanId(what.plan) };
  }
}

/** What an operator pauses: all schedules of a site, or of a tenant's plan, also those that are made later. */
export type OperatorPause =
  | {
      /** The site's name. */
      readonly site: string;
    }
  | {
      /** Whose plan. */
      readonly tenant: string;
      /** The plan. */
      readonly plan: PlanId;
    };

/** The schedules of all tenants, for the operator of an engine. */
export class OperatorSchedules {
  readonly #services: Pick<SessionServices, 'store' | 'clock' | 'scheduler'>;

  /** Made by the engine. */
  constructor(services: Pick<SessionServices, 'store' | 'clock' | 'scheduler'>) {
    this.#services = services;
  }

  /** From now on nothing of it is fired; its ticks are recorded as missed. Running jobs go on. May be repeated. */
  async pause(what: OperatorPause, options: OperatorCall = {}): Promise<void> {
    const scope = operatorScope(what);
    const by = parseOperator('schedules.pause', options);
    const entry = entryOf(this.#services, by, 'schedule.paused', aboutPause(scope));
    return this.#services.store.schedules.pause(scope, entry);
  }

  /** Ends a pause. What was due before stays missed; nothing happens where there is no such pause. */
  async resume(what: OperatorPause, options: OperatorCall = {}): Promise<void> {
    const { store, clock, scheduler } = this.#services;
    const scope = operatorScope(what);
    const by = parseOperator('schedules.resume', options);
    const entry = entryOf(this.#services, by, 'schedule.resumed', aboutPause(scope));
    await store.schedules.resume(scope, clock.now(), entry);
    scheduler.nudge();
  }

  /** All that is paused, also by tenants. */
  pauses(): AsyncIterable<PauseScope> {
    return this.#services.store.schedules.pauses();
  }
}

function aboutPause(scope: PauseScope): AuditEntry['object'] {
  if (scope.kind === 'site') return { site: scope.site };
  return scope.kind === 'plan' ? { plan: scope.plan } : { schedule: scope.schedule };
}

function operatorScope(what: OperatorPause): PauseScope {
  if ('plan' in what)
    return { kind: 'plan', tenant: parseTenantId(what.tenant), plan: parsePlanId(what.plan) };
  if (typeof what.site === 'string' && what.site !== '') return { kind: 'site', site: what.site };
  throw new FafnirError('INVALID_OPTIONS', 'schedules: give a site, or a tenant and a plan');
}
