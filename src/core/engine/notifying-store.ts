import type {
  Addition,
  AuditEntry,
  JobEnd,
  JobStore,
  Notifier,
  PauseScope,
  ScheduleAdvance,
  TenantId,
} from '../contracts/index.ts';

/** A store whose records are told to these notifiers: whatever is recorded by way of it names those who are to hear. */
export function notifyingStore(store: JobStore, notifiers: readonly Notifier[]): JobStore {
  function told(tenant: TenantId | null, entry: AuditEntry): AuditEntry;
  function told(tenant: TenantId | null, entry: AuditEntry | undefined): AuditEntry | undefined;
  function told(tenant: TenantId | null, entry: AuditEntry | undefined): AuditEntry | undefined {
    if (entry === undefined) return undefined;
    const hear = notifiers.filter(
      (one) => one.actions.includes(entry.action) && (one.tenant === undefined || one.tenant === tenant),
    );
    return { ...entry, notify: hear.map(({ name }) => name) };
  }
  const inOf = (scope: PauseScope): TenantId | null => (scope.kind === 'site' ? null : scope.tenant);
  const withTold = <Of extends Addition | JobEnd | ScheduleAdvance | undefined>(
    tenant: TenantId,
    of: Of,
  ): Of => (of?.audit === undefined ? of : { ...of, audit: told(tenant, of.audit) });
  const { plans, schedules, templates, audit } = store;

  return {
    contract: 1,
    ...(store.dispatcher && { dispatcher: store.dispatcher }),
    notifications: store.notifications,
    installation: () => store.installation(),
    enqueue: (job, parent, addition) => store.enqueue(job, parent, withTold(job.tenant, addition)),
    occupy: (claim, places, now) => store.occupy(claim, places, now),
    quotas: store.quotas,
    claim: (request) => store.claim(request),
    heartbeat: (claim, leaseUntil) => store.heartbeat(claim, leaseUntil),
    acquire: (claim, leases) => store.acquire(claim, leases),
    postpone: (claim, until) => store.postpone(claim, until),
    append: (claim, rows, entries = []) =>
      store.append(
        claim,
        rows,
        entries.map((entry) => told(claim.job.tenant, entry)),
      ),
    journal: (tenant, job) => store.journal(tenant, job),
    finish: (claim, outcome, end) => store.finish(claim, outcome, withTold(claim.job.tenant, end)),
    usage: (tenant, filter) => store.usage(tenant, filter),
    requestCancel: (tenant, job, entry) => store.requestCancel(tenant, job, told(tenant, entry)),
    get: (tenant, job) => store.get(tenant, job),
    list: (tenant, filter) => store.list(tenant, filter),
    tenants: () => store.tenants(),
    plans: {
      create: (plan, addition) => plans.create(plan, withTold(plan.tenant, addition)),
      get: (tenant, id) => plans.get(tenant, id),
      list: (tenant) => plans.list(tenant),
      remove: (tenant, id, entry) => plans.remove(tenant, id, told(tenant, entry)),
    },
    schedules: {
      create: (schedule, addition) => schedules.create(schedule, withTold(schedule.tenant, addition)),
      get: (tenant, id) => schedules.get(tenant, id),
      list: (tenant) => schedules.list(tenant),
      remove: (tenant, id, entry) => schedules.remove(tenant, id, told(tenant, entry)),
      earliest: (limit) => schedules.earliest(limit),
      advance: (schedule, advance) => {
        const { tenant } = schedule;
        const missed = advance.missed?.map((entry) => told(tenant, entry));
        return schedules.advance(schedule, withTold(tenant, { ...advance, ...(missed && { missed }) }));
      },
      ticks: (tenant, id, filter) => schedules.ticks(tenant, id, filter),
      event: (tenant, id, event) => schedules.event(tenant, id, event),
      pause: (scope, entry) => schedules.pause(scope, told(inOf(scope), entry)),
      resume: (scope, resumedAt, entry) => schedules.resume(scope, resumedAt, told(inOf(scope), entry)),
      pauses: () => schedules.pauses(),
    },
    templates: {
      put: (template, entry) => templates.put(template, told(template.tenant, entry)),
      get: (tenant, name) => templates.get(tenant, name),
      list: (tenant) => templates.list(tenant),
      remove: (tenant, name, entry) => templates.remove(tenant, name, told(tenant, entry)),
    },
    audit: {
      append: (tenant, entry) => audit.append(tenant, told(tenant, entry)),
      list: (tenant, filter) => audit.list(tenant, filter),
      head: (tenant) => audit.head(tenant),
    },
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
