import type {
  Addition,
  JobClaim,
  JobId,
  JobStore,
  NewJob,
  PlanId,
  PlanRecord,
  PlanStore,
  Quota,
  TenantId,
} from '../core/contracts/index.ts';
import { newInstallation } from '../core/identity.ts';
import { type KeptPlan, keepPlan, planExists, planRecord } from './plan-records.ts';
import { memoryAudit, type MemoryAudit } from './memory/audit.ts';
import { MemoryPlaces } from './memory/places.ts';
import { memoryQuotas } from './memory/quotas.ts';
import { memorySchedules } from './memory/schedules.ts';
import { memoryTemplates } from './memory/templates.ts';
import {
  fenced,
  jobExists,
  jobRecord,
  journalMismatch,
  type KeptJob,
  type KeptLease,
  type KeptStep,
  keepJob,
  keepLeases,
  keepOutcome,
  keepSteps,
  standAgainstEachOther,
  stepRow,
  storeClosed,
} from './records.ts';
import { type KeptUsage, keepUsage, usageRecord } from './usage.ts';

type HeldLease = KeptLease & { readonly tenant: TenantId; readonly job: JobId };

/** A job store for tests and trials: it behaves like a durable one and forgets everything with the process. */
export function memoryStore(): JobStore {
  const jobs = new Map<JobId, KeptJob>();
  // Those that have not ended: of a long history there are few.
  const open = new Set<JobId>();
  const journals = new Map<JobId, Map<string, KeptStep>>();
  const held = new Map<string, HeldLease>();
  const places = new MemoryPlaces();
  const usages = new Map<JobId, string>();
  const audit = memoryAudit(assertOpen);
  const installation = newInstallation();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw storeClosed();
  }

  function claimed(claim: JobClaim): KeptJob {
    assertOpen();
    const job = jobs.get(claim.job.id);
    const current = job?.tenant === claim.job.tenant && job.epoch === claim.job.epoch;
    if (!current || job.state !== 'running') throw fenced(claim);
    return job;
  }

  // What stops a job's work gives back its resources: no lease is ever without a job that will end.
  function putDown(claim: JobClaim, changes: Partial<KeptJob>): void {
    const job = claimed(claim);
    jobs.set(job.id, { ...job, ...changes });
    for (const [key, lease] of held) if (lease.job === job.id) held.delete(key);
  }

  function seenBy(tenant: TenantId, id: JobId): KeptJob | undefined {
    assertOpen();
    const job = jobs.get(id);
    return job?.tenant === tenant ? job : undefined;
  }

  const plans = memoryPlans({
    assertOpen,
    audit,
    assertRoom: (plan, quota) => quotas.assertRoom(plan, { plans: 1 }, quota),
  });
  const schedules = memorySchedules({
    assertOpen,
    add,
    audit,
    assertRoom: (schedule, quota) => quotas.assertRoom(schedule, { schedules: 1 }, quota),
  });
  const quotas = memoryQuotas({
    assertOpen,
    claimed,
    counts: (tenant) => ({
      jobs: [...jobs.values()].filter((job) => job.tenant === tenant && !job.parent && job.outcome === null)
        .length,
      plans: plans.count(tenant),
      schedules: schedules.count(tenant),
    }),
  });

  function add(job: NewJob, addition: Addition = {}): KeptJob {
    const kept = jobs.get(job.id) ?? keepJob(job);
    if (kept.tenant !== job.tenant) throw jobExists(job);
    if (!jobs.has(job.id)) {
      quotas.assertRoom(job, { jobs: 1 }, addition.quota);
      audit.tell(job.tenant, addition.audit);
      open.add(job.id);
    }
    jobs.set(job.id, kept);
    return kept;
  }

  async function close(): Promise<void> {
    closed = true;
    jobs.clear();
    open.clear();
    journals.clear();
    held.clear();
    usages.clear();
  }

  return {
    contract: 1,
    plans: plans.store,
    quotas: quotas.store,
    templates: memoryTemplates(assertOpen, audit),
    schedules: schedules.store,
    audit: audit.log,
    notifications: audit.notifications,
    async installation() {
      assertOpen();
      return installation;
    },
    async enqueue(job, parent, addition) {
      assertOpen();
      if (parent !== undefined) claimed(parent);
      return jobRecord(add(job, addition));
    },
    async claim({ now, leaseUntil, job: id, except = [] }) {
      assertOpen();
      let oldest: KeptJob | undefined;
      for (const one of open) {
        const job = jobs.get(one);
        if (job === undefined) continue;
        const free =
          (job.state === 'queued' && job.notBefore <= now) ||
          (job.state === 'running' && job.leaseUntil < now);
        const wanted = id === undefined ? !(job.parent && except.includes(job.parent)) : job.id === id;
        if (free && wanted && (oldest === undefined || job.id < oldest.id)) oldest = job;
      }
      if (oldest === undefined) return undefined;
      const epoch = oldest.epoch + 1;
      const { startedAt = now } = oldest;
      const kept: KeptJob = { ...oldest, state: 'running', epoch, startedAt, leaseUntil, notBefore: 0 };
      jobs.set(kept.id, kept);
      return { job: jobRecord(kept) };
    },
    async heartbeat(claim, leaseUntil) {
      const job = claimed(claim);
      jobs.set(job.id, { ...job, leaseUntil });
      return { cancelRequested: job.cancelRequested };
    },
    async acquire(claim, leases) {
      const { id, tenant } = claimed(claim);
      const others = [...held.values()].filter((lease) => lease.tenant === tenant && lease.job !== id);
      const wanted = keepLeases(leases);
      for (const lease of wanted) {
        const holder = others.find(
          (other) => other.resource === lease.resource && standAgainstEachOther(other, lease),
        );
        if (holder !== undefined) return { resource: holder.resource, job: holder.job, kind: holder.kind };
      }
      for (const { resource, kind, excludes } of wanted) {
        // The key finds a lease that is taken again.
        const key = JSON.stringify([id, resource, kind, excludes]);
        held.set(key, { tenant, job: id, resource, kind, excludes });
      }
      return undefined;
    },
    async occupy(claim, wanted, now) {
      claimed(claim);
      return places.occupy(claim, wanted, now, jobs);
    },
    async postpone(claim, until) {
      putDown(claim, { state: 'queued', notBefore: until });
    },
    async append(claim, rows, entries = []) {
      assertOpen();
      const steps = keepSteps(rows);
      const { id } = claimed(claim);
      const journal = journals.get(id) ?? new Map<string, KeptStep>();
      const added = new Map<string, KeptStep>();
      for (const step of steps) {
        const key = `${step.kind}:${step.step}`;
        if (journal.has(key) || added.has(key)) throw journalMismatch(claim, step);
        added.set(key, step);
      }
      for (const [key, step] of added) journal.set(key, step);
      journals.set(id, journal);
      for (const entry of entries) audit.tell(claim.job.tenant, entry);
    },
    async journal(tenant, id) {
      const job = seenBy(tenant, id);
      return job === undefined ? [] : [...(journals.get(job.id)?.values() ?? [])].map(stepRow);
    },
    async finish(claim, outcome, end) {
      assertOpen();
      const usage = keepUsage(claim.job, end);
      putDown(claim, { state: outcome.state, endedAt: end.at, outcome: keepOutcome(claim, outcome) });
      open.delete(claim.job.id);
      usages.set(claim.job.id, usage);
      quotas.settle(claim.job, end);
      audit.tell(claim.job.tenant, end.audit);
    },
    async *usage(tenant, { from = -Infinity, until = Infinity }) {
      assertOpen();
      const ended = [...usages]
        .flatMap(([id, usage]) => keptUsage(seenBy(tenant, id), usage) ?? [])
        .filter(({ endedAt }) => endedAt >= from && endedAt < until)
        .sort((a, b) => a.endedAt - b.endedAt || (a.id < b.id ? -1 : 1));
      for (const one of ended) {
        assertOpen();
        yield usageRecord(one);
      }
    },
    async requestCancel(tenant, id, entry) {
      const job = seenBy(tenant, id);
      if (job === undefined || job.outcome !== null) return false;
      jobs.set(id, { ...job, cancelRequested: true, notBefore: 0 });
      if (!job.cancelRequested) audit.tell(tenant, entry);
      return true;
    },
    async get(tenant, id) {
      const job = seenBy(tenant, id);
      return job && jobRecord(job);
    },
    async *list(tenant, { state }) {
      assertOpen();
      for (const id of [...jobs.keys()].sort()) {
        const job = seenBy(tenant, id);
        if (job !== undefined && (state === undefined || job.state === state)) yield jobRecord(job);
      }
    },
    async *tenants() {
      assertOpen();
      for (const tenant of [...new Set([...jobs.values()].map((job) => job.tenant))].sort()) yield tenant;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function keptUsage(job: KeptJob | undefined, usage: string): KeptUsage | undefined {
  if (job === undefined || job.state === 'queued' || job.state === 'running') return undefined;
  const { id, tenant, actor, operation, parent = null, state, createdAt, startedAt = 0, endedAt = 0 } = job;
  return { id, tenant, actor, operation, parent, state, createdAt, startedAt, endedAt, usage };
}

function memoryPlans({
  assertOpen,
  audit,
  assertRoom,
}: {
  assertOpen(): void;
  readonly audit: MemoryAudit;
  assertRoom(plan: PlanRecord, quota: Quota | undefined): void;
}): { readonly store: PlanStore; count(tenant: TenantId): number } {
  const tenants = new Map<TenantId, Map<PlanId, KeptPlan>>();

  const store: PlanStore = {
    async create(plan, addition = {}) {
      assertOpen();
      const kept = keepPlan(plan);
      const plans = tenants.get(plan.tenant) ?? new Map<PlanId, KeptPlan>();
      const taken = [...plans.values()].some(({ id, name }) => id === plan.id || name === plan.name);
      if (taken) throw planExists(plan);
      assertRoom(plan, addition.quota);
      tenants.set(plan.tenant, plans.set(plan.id, kept));
      audit.tell(plan.tenant, addition.audit);
    },
    async get(tenant, id) {
      assertOpen();
      const plan = tenants.get(tenant)?.get(id);
      return plan && planRecord(plan);
    },
    async *list(tenant) {
      assertOpen();
      for (const id of [...(tenants.get(tenant)?.keys() ?? [])].sort()) {
        assertOpen();
        const plan = tenants.get(tenant)?.get(id);
        if (plan !== undefined) yield planRecord(plan);
      }
    },
    async remove(tenant, id, entry) {
      assertOpen();
      if (tenants.get(tenant)?.delete(id)) audit.tell(tenant, entry);
    },
  };
  return { store, count: (tenant) => tenants.get(tenant)?.size ?? 0 };
}
