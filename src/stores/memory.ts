import type {
  JobClaim,
  JobId,
  JobStore,
  PlanId,
  PlanRecord,
  PlanStore,
  TenantId,
} from '../core/contracts/index.ts';
import {
  fenced,
  jobExists,
  jobRecord,
  journalMismatch,
  type KeptJob,
  type KeptPlan,
  type KeptStep,
  keepJob,
  keepOutcome,
  keepPlan,
  keepSteps,
  planExists,
  planRecord,
  stepRow,
  storeClosed,
} from './records.ts';

/** A job store for tests and trials: it behaves like a durable one and forgets everything with the process. */
export function memoryStore(): JobStore {
  const jobs = new Map<JobId, KeptJob>();
  const journals = new Map<JobId, Map<string, KeptStep>>();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw storeClosed();
  }

  function claimed(claim: JobClaim): KeptJob {
    assertOpen();
    const job = jobs.get(claim.job.id);
    if (job?.state !== 'running' || job.epoch !== claim.job.epoch) throw fenced(claim);
    return job;
  }

  function seenBy(tenant: TenantId, id: JobId): KeptJob | undefined {
    assertOpen();
    const job = jobs.get(id);
    return job?.tenant === tenant ? job : undefined;
  }

  async function close(): Promise<void> {
    closed = true;
    jobs.clear();
    journals.clear();
  }

  return {
    contract: 1,
    plans: memoryPlans(assertOpen),
    async enqueue(job) {
      assertOpen();
      const kept = jobs.get(job.id) ?? keepJob(job);
      if (kept.tenant !== job.tenant) throw jobExists(job);
      jobs.set(job.id, kept);
      return jobRecord(kept);
    },
    async claim({ now, leaseUntil, job: id }) {
      assertOpen();
      let oldest: KeptJob | undefined;
      for (const job of jobs.values()) {
        const free = job.state === 'queued' || (job.state === 'running' && job.leaseUntil < now);
        const wanted = id === undefined || job.id === id;
        if (free && wanted && (oldest === undefined || job.id < oldest.id)) oldest = job;
      }
      if (oldest === undefined) return undefined;
      const kept: KeptJob = { ...oldest, state: 'running', epoch: oldest.epoch + 1, leaseUntil };
      jobs.set(kept.id, kept);
      return { job: jobRecord(kept) };
    },
    async heartbeat(claim, leaseUntil) {
      const job = claimed(claim);
      jobs.set(job.id, { ...job, leaseUntil });
      return { cancelRequested: job.cancelRequested };
    },
    async append(claim, rows) {
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
    },
    async journal(tenant, id) {
      const job = seenBy(tenant, id);
      return job === undefined ? [] : [...(journals.get(job.id)?.values() ?? [])].map(stepRow);
    },
    async finish(claim, outcome) {
      assertOpen();
      const text = keepOutcome(claim, outcome);
      const job = claimed(claim);
      jobs.set(job.id, { ...job, state: outcome.state, outcome: text });
    },
    async requestCancel(tenant, id) {
      const job = seenBy(tenant, id);
      if (job === undefined || job.outcome !== null) return false;
      jobs.set(id, { ...job, cancelRequested: true });
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
    close,
    [Symbol.asyncDispose]: close,
  };
}

function memoryPlans(assertOpen: () => void): PlanStore {
  const tenants = new Map<TenantId, Map<PlanId, KeptPlan>>();

  return {
    async create(plan: PlanRecord) {
      assertOpen();
      const kept = keepPlan(plan);
      const plans = tenants.get(plan.tenant) ?? new Map<PlanId, KeptPlan>();
      const taken = [...plans.values()].some(({ id, name }) => id === plan.id || name === plan.name);
      if (taken) throw planExists(plan);
      tenants.set(plan.tenant, plans.set(plan.id, kept));
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
    async remove(tenant, id) {
      assertOpen();
      tenants.get(tenant)?.delete(id);
    },
  };
}
