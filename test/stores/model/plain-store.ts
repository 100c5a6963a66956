import type {
  JobClaim,
  JobEnd,
  JobId,
  JobOutcome,
  JobRecord,
  NewJob,
  ResourceLease,
  StepRow,
  TenantId,
  UsageRecord,
} from '../../../src/core/contracts/index.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';

/** How a call ends. */
export type Answer = { readonly value: unknown } | { readonly code: ErrorCode };

interface PlainJob {
  record: JobRecord;
  used?: UsageRecord;
  readonly rows: StepRow[];
  readonly leases: ResourceLease[];
}

const FENCED: Answer = { code: 'FENCED' };
const DONE: Answer = { value: undefined };

/** The contract of job stores as plainly as it can be put: what each call must answer. It shares no code with stores. */
export class PlainStore {
  readonly #jobs = new Map<JobId, PlainJob>();

  enqueue(job: NewJob, parent?: JobClaim): Answer {
    if (parent !== undefined && this.#claimed(parent) === undefined) return FENCED;
    const known = this.#jobs.get(job.id);
    if (known !== undefined && known.record.tenant !== job.tenant) return { code: 'ALREADY_EXISTS' };
    if (known !== undefined) return { value: known.record };
    const unclaimed = {
      state: 'queued',
      epoch: 0,
      leaseUntil: 0,
      notBefore: 0,
      cancelRequested: false,
    } as const;
    const record: JobRecord = { ...job, ...unclaimed };
    this.#jobs.set(job.id, { record, rows: [], leases: [] });
    return { value: record };
  }

  claim(now: number, leaseUntil: number, name?: JobId): JobClaim | undefined {
    const [first] = [...this.#jobs.values()]
      .filter(({ record }) => name === undefined || record.id === name)
      .filter(({ record: { state, notBefore, leaseUntil } }) => {
        if (state === 'queued') return now >= notBefore;
        return state === 'running' && now > leaseUntil;
      })
      .sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
    if (first === undefined) return undefined;
    const epoch = first.record.epoch + 1;
    const { startedAt = now } = first.record;
    first.record = { ...first.record, state: 'running', epoch, startedAt, leaseUntil, notBefore: 0 };
    return { job: first.record };
  }

  heartbeat(claim: JobClaim, leaseUntil: number): Answer {
    const job = this.#claimed(claim);
    if (job === undefined) return FENCED;
    job.record = { ...job.record, leaseUntil };
    return { value: { cancelRequested: job.record.cancelRequested } };
  }

  /** Any of these answers is right: the contract leaves open which of several holders is named. */
  acquire(claim: JobClaim, leases: readonly ResourceLease[]): readonly Answer[] {
    const job = this.#claimed(claim);
    if (job === undefined) return [FENCED];
    const holders: Answer[] = [];
    for (const other of this.#jobs.values()) {
      if (other === job || other.record.tenant !== job.record.tenant) continue;
      for (const held of other.leases) {
        for (const wanted of leases) {
          if (held.resource !== wanted.resource) continue;
          if (!held.excludes.includes(wanted.kind) && !wanted.excludes.includes(held.kind)) continue;
          holders.push({ value: { resource: held.resource, job: other.record.id, kind: held.kind } });
        }
      }
    }
    if (holders.length > 0) return holders;
    job.leases.push(...leases);
    return [DONE];
  }

  postpone(claim: JobClaim, until: number): Answer {
    const job = this.#claimed(claim);
    if (job === undefined) return FENCED;
    job.record = { ...job.record, state: 'queued', notBefore: until };
    job.leases.length = 0;
    return DONE;
  }

  append(claim: JobClaim, rows: readonly StepRow[]): Answer {
    const job = this.#claimed(claim);
    if (job === undefined) return FENCED;
    const names = [...job.rows, ...rows].map(({ step, kind }) => `${kind} ${step}`);
    if (new Set(names).size < names.length) return { code: 'JOURNAL_MISMATCH' };
    job.rows.push(...rows);
    return DONE;
  }

  finish(claim: JobClaim, outcome: JobOutcome, { at, usage }: JobEnd): Answer {
    const job = this.#claimed(claim);
    if (job === undefined) return FENCED;
    const { id, tenant, actor, operation, parent, createdAt, startedAt = at } = job.record;
    const part = parent === undefined ? {} : { parent };
    const what = { job: id, tenant, actor, operation, ...part, createdAt };
    job.used = { ...usage, ...what, state: outcome.state, startedAt, endedAt: at };
    job.record = { ...job.record, state: outcome.state, endedAt: at, outcome };
    job.leases.length = 0;
    return DONE;
  }

  requestCancel(tenant: TenantId, id: JobId): Answer {
    const job = this.#jobs.get(id);
    if (job?.record.tenant !== tenant || job.record.outcome !== undefined) return { value: false };
    job.record = { ...job.record, cancelRequested: true, notBefore: 0 };
    return { value: true };
  }

  get(tenant: TenantId, id: JobId): JobRecord | undefined {
    const record = this.#jobs.get(id)?.record;
    return record?.tenant === tenant ? record : undefined;
  }

  list(tenant: TenantId): readonly JobRecord[] {
    return [...this.#jobs.values()]
      .map(({ record }) => record)
      .filter((record) => record.tenant === tenant)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  usage(tenant: TenantId, from: number, until: number): readonly UsageRecord[] {
    return [...this.#jobs.values()]
      .flatMap(({ used }) => used ?? [])
      .filter((one) => one.tenant === tenant && one.endedAt >= from && one.endedAt < until)
      .sort((a, b) => a.endedAt - b.endedAt || (a.job < b.job ? -1 : 1));
  }

  journal(tenant: TenantId, id: JobId): readonly StepRow[] {
    const job = this.#jobs.get(id);
    return job?.record.tenant === tenant ? job.rows : [];
  }

  #claimed({ job: { tenant, id, epoch } }: JobClaim): PlainJob | undefined {
    const job = this.#jobs.get(id);
    const { record } = job ?? {};
    const current = record?.state === 'running' && record.epoch === epoch && record.tenant === tenant;
    return current ? job : undefined;
  }
}
