import type { JobId, PlanId, ResourceKey, TenantId } from './identity.ts';
import type { Json, JsonObject } from './json.ts';

/** Where a job is. The last three are final. */
export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** An error as a record: what a later reader needs, nothing secret. */
export type ErrorRecord = {
  /** The stable code. */
  readonly code: string;
  /** What happened. */
  readonly message: string;
  /** Whether trying again may help. */
  readonly retryable: boolean;
  /** What to do. */
  readonly hint: string;
};

/** How a job ended. */
export type JobOutcome =
  | { readonly state: 'succeeded'; readonly result: JsonObject }
  | { readonly state: 'failed' | 'cancelled'; readonly error: ErrorRecord };

/** A job to be run. */
export type NewJob = {
  /** Made by the caller, so that a repeat of `enqueue` is found. */
  readonly id: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** Who asked. */
  readonly actor: string;
  /** Which operation. */
  readonly operation: string;
  /** The version of the operation's code; a job keeps the one it began with. */
  readonly operationVersion: number;
  /** What to do; references to secrets only. At most 256 KiB as JSON. */
  readonly input: JsonObject;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
};

/** A job as the store knows it. */
export type JobRecord = NewJob & {
  /** Where it is. */
  readonly state: JobState;
  /** How often it was claimed. Every write of a worker names the epoch of its claim. */
  readonly epoch: number;
  /** The claim ends at this time unless extended, milliseconds since 1970 UTC; 0 when never claimed. */
  readonly leaseUntil: number;
  /** A person or program asked for its end. */
  readonly cancelRequested: boolean;
  /** How it ended, in a final state. */
  readonly outcome?: JobOutcome;
};

/** A worker's right to write to a job, until another claims it. */
export type JobClaim = {
  /** The job as it was when claimed; its epoch is the one that this claim writes with. */
  readonly job: JobRecord;
};

/** A row of a job's journal. A step has at most one intent and one result. */
export type StepRow =
  /** Written, durably, before an effect: from here on the effect may exist. */
  | { readonly step: string; readonly kind: 'intent' }
  /** The step ended; a resumed job uses the value instead of running the step. At most 256 KiB as JSON. */
  | { readonly step: string; readonly kind: 'result'; readonly value: Json };

/** What to protect, with which provider. */
export type PlanRecord = {
  /** The plan's id. */
  readonly id: PlanId;
  /** Whose plan. */
  readonly tenant: TenantId;
  /** For people; unique within the tenant. */
  readonly name: string;
  /** The provider's name. */
  readonly provider: string;
  /** The roots: what to protect with all it depends on. */
  readonly resources: readonly ResourceKey[];
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
};

/** Where plans are kept. */
export interface PlanStore {
  /** Keeps a plan; `ALREADY_EXISTS` where the tenant has a plan of that name or id, be it an equal one. */
  create(plan: PlanRecord): Promise<void>;
  /** The plan, or undefined where this tenant has none of that id. */
  get(tenant: TenantId, id: PlanId): Promise<PlanRecord | undefined>;
  /** The tenant's plans in ascending order of id. */
  list(tenant: TenantId): AsyncIterable<PlanRecord>;
  /** Removes a plan; a missing one is success. Checkpoints stay. */
  remove(tenant: TenantId, id: PlanId): Promise<void>;
}

/**
 * The truth about jobs. Each method is one atomic transaction (a list is one per page: what changes meanwhile may or
 * may not show); once it has resolved, its effect survives a process crash and a power loss in durable stores. A worker's writes name its claim
 * and reject with `FENCED`, changing nothing, when the job was claimed again or has ended.
 */
export interface JobStore extends AsyncDisposable {
  /** The version of this contract. */
  readonly contract: 1;
  /** Plans live beside jobs. */
  readonly plans: PlanStore;
  /**
   * Adds a queued job; where the tenant has a job of that id already, changes nothing and returns it. An id that
   * another tenant has is `ALREADY_EXISTS`, an input above its size `LIMIT_EXCEEDED`.
   */
  enqueue(job: NewJob): Promise<JobRecord>;
  /**
   * Takes a job that is queued, or running with a lease that ended before `now`: the one named, else the one with the
   * lowest id. Raises the epoch, so that the former worker is fenced. Undefined where there is none to take.
   */
  claim(request: {
    readonly now: number;
    readonly leaseUntil: number;
    readonly job?: JobId;
  }): Promise<JobClaim | undefined>;
  /** Sets the end of the lease (an earlier one gives the job up), and tells whether the job's end was asked for. */
  heartbeat(claim: JobClaim, leaseUntil: number): Promise<{ readonly cancelRequested: boolean }>;
  /**
   * Adds journal rows, all or none, in order; a row that exists already is `JOURNAL_MISMATCH`, a value above its size
   * `LIMIT_EXCEEDED`.
   */
  append(claim: JobClaim, rows: readonly StepRow[]): Promise<void>;
  /** The journal of the tenant's job in the order it was written; empty where there is no such job. */
  journal(tenant: TenantId, job: JobId): Promise<readonly StepRow[]>;
  /** Ends the job. A result of more than 256 KiB as JSON is `LIMIT_EXCEEDED`. */
  finish(claim: JobClaim, outcome: JobOutcome): Promise<void>;
  /** Asks for the job's end; true unless the job is unknown to the tenant or has ended. */
  requestCancel(tenant: TenantId, job: JobId): Promise<boolean>;
  /** The job, or undefined where this tenant has none of that id. */
  get(tenant: TenantId, job: JobId): Promise<JobRecord | undefined>;
  /** The tenant's jobs in ascending order of id, those in `state` where given. */
  list(tenant: TenantId, filter: { readonly state?: JobState }): AsyncIterable<JobRecord>;
  /** Releases files and connections; later calls reject with `CLOSED`. */
  close(): Promise<void>;
}
