import type { Addition } from './addition.ts';
import type { AuditEntry, AuditLog } from './audit.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { JobId, TenantId } from './identity.ts';
import type {
  JobClaim,
  JobOutcome,
  JobRecord,
  JobState,
  NewJob,
  Place,
  ResourceHolder,
  ResourceLease,
  StepRow,
} from './job.ts';
import type { NotificationStore } from './notification.ts';
import type { PlanStore } from './plan-store.ts';
import type { QuotaStore } from './quota.ts';
import type { JobEnd, UsageFilter, UsageRecord } from './usage.ts';
import type { ScheduleStore } from './schedule-store.ts';
import type { TemplateStore } from './template-store.ts';

/**
 * The truth about jobs. Each method is one atomic transaction (a list is one per page: what changes meanwhile may or
 * may not show); once it has resolved, its effect survives a process crash and a power loss in durable stores. A worker's writes name its claim
 * and reject with `FENCED`, changing nothing, when the job was claimed again or has ended.
 */
export interface JobStore extends AsyncDisposable {
  /** The version of this contract. */
  readonly contract: 1;
  /** Wakes the workers of this store; without one they look from time to time. Closed with the store. */
  readonly dispatcher?: Dispatcher;
  /** Plans live beside jobs. */
  readonly plans: PlanStore;
  /** Keeps tenants within what they may have. */
  readonly quotas: QuotaStore;
  /** Templates live beside jobs. */
  readonly templates: TemplateStore;
  /** Schedules live beside jobs, for a tick and its job are one transaction. */
  readonly schedules: ScheduleStore;
  /** What was done. Calls that take an `audit` add its record to the tenant's chain in their transaction; see there. */
  readonly audit: AuditLog;
  /** Who has still to hear of it. */
  readonly notifications: NotificationStore;
  /**
   * Tells this store's data from those of all others: 12 characters of a-f 0-9, drawn by chance at first use and from
   * then on the same for every process that opens it. Names on storage arrays begin with it.
   */
  installation(): Promise<string>;
  /**
   * Adds a queued job; where the tenant has a job of that id already, changes nothing and returns it. An id that
   * another tenant has is `ALREADY_EXISTS`, an input above its size `LIMIT_EXCEEDED`. `parent` is the claim of a worker
   * that adds a part of its own job, so that nothing begins that nobody waits for. `QUOTA_EXCEEDED` where the job is new and
   * the tenant would have more jobs under way than it may.
   */
  enqueue(job: NewJob, parent?: JobClaim, addition?: Addition): Promise<JobRecord>;
  /**
   * Takes a job that is queued and not postponed beyond `now`, or running with a lease that ended before `now`: the one named, else the one with the
   * lowest id that is no part of a job in `except`. Raises the epoch, so that the former worker is fenced; the first claim is when the job started. Undefined
   * where there is none to take.
   */
  claim(request: {
    readonly now: number;
    readonly leaseUntil: number;
    readonly job?: JobId;
    readonly except?: readonly JobId[];
  }): Promise<JobClaim | undefined>;
  /** Sets the end of the lease (an earlier one gives the job up), and tells whether the job's end was asked for. */
  heartbeat(claim: JobClaim, leaseUntil: number): Promise<Pick<JobRecord, 'cancelRequested'>>;
  /**
   * Takes resource leases, all or none, beside those that the job holds already. Undefined when they are taken, else
   * one of the holders that stand against them. They end when the job ends or is postponed, in the same transaction:
   * a job whose worker died keeps them until another worker has ended it, so that none is ever stale. A job that is
   * refused postpones itself rather than wait with leases of its own, or two would wait for each other.
   */
  acquire(claim: JobClaim, leases: readonly ResourceLease[]): Promise<ResourceHolder | undefined>;
  /**
   * Takes a place under each name for this claim, all or none; false where one has none left. May be repeated. A place is the
   * claim's until the job ends or is postponed, and never longer than its lease: at `now` those of claims whose lease ended before
   * count no more, so that nothing has to be cleared up after a worker that died. Whoever takes the job over asks anew.
   */
  occupy(claim: JobClaim, places: readonly Place[], now: number): Promise<boolean>;
  /** Puts a running job back into the queue until a time. It keeps its journal and loses its resource leases. */
  postpone(claim: JobClaim, until: number): Promise<void>;
  /**
   * Adds journal rows, all or none, in order, and what the tenant's chain is to tell with them; a row that exists already is
   * `JOURNAL_MISMATCH`, a value above its size `LIMIT_EXCEEDED`.
   */
  append(claim: JobClaim, rows: readonly StepRow[], audit?: readonly AuditEntry[]): Promise<void>;
  /** The journal of the tenant's job in the order it was written; empty where there is no such job. */
  journal(tenant: TenantId, job: JobId): Promise<readonly StepRow[]>;
  /**
   * Ends the job, and keeps what it used: both or neither, so that a job is billed once. A result of more than 256 KiB as
   * JSON is `LIMIT_EXCEEDED`. What the job had reserved of a quota is released.
   */
  finish(claim: JobClaim, outcome: JobOutcome, end: JobEnd): Promise<void>;
  /** What the tenant's ended jobs used, in ascending order of their ends, then of their ids. Inputs and results are not read. */
  usage(tenant: TenantId, filter: UsageFilter): AsyncIterable<UsageRecord>;
  /**
   * Asks for the job's end, and ends its being postponed; true unless the tenant has no such job or it has ended. A repeat
   * is no change that is recorded.
   */
  requestCancel(tenant: TenantId, job: JobId, audit?: AuditEntry): Promise<boolean>;
  /** The job, or undefined where this tenant has none of that id. */
  get(tenant: TenantId, job: JobId): Promise<JobRecord | undefined>;
  /** The tenant's jobs in ascending order of id, those in `state` where given. */
  list(tenant: TenantId, filter: { readonly state?: JobState }): AsyncIterable<JobRecord>;
  /** The tenants that have jobs, in ascending order. */
  tenants(): AsyncIterable<TenantId>;
  /** Releases files and connections; later calls reject with `CLOSED`. */
  close(): Promise<void>;
}
