import type { TenantId } from './identity.ts';
import type { JobClaim } from './job.ts';

/** What a tenant may have at most; what is left out has no limit. Whole numbers from 0 on. */
export type Quota = {
  /** Jobs under way, queued or running; parts of others are not counted, nor refused. */
  readonly jobs?: number;
  /** Plans. */
  readonly plans?: number;
  /** Schedules. */
  readonly schedules?: number;
  /** Checkpoints that were not given up. */
  readonly checkpoints?: number;
  /** The size of the volumes in those checkpoints, in bytes: each counts in each checkpoint, whatever its copies need. */
  readonly protected?: number;
  /** Bytes in banks, as usage records tell of them. */
  readonly stored?: number;
};

/** What can be limited. */
export type QuotaField = keyof Quota;

/** What a job will add at most. */
export type Reservation = {
  /** Checkpoints. */
  readonly checkpoints: number;
  /** The size of the volumes in them, in bytes. */
  readonly protected: number;
  /** Bytes in banks. */
  readonly stored: number;
};

/** What a tenant has, and what its jobs may still add. */
export type Holdings = {
  /** What is there. Of checkpoints, their volumes and bytes in banks: the sums of all usage records. */
  readonly used: Readonly<Record<QuotaField, number>>;
  /** What jobs under way have reserved and not yet used. */
  readonly reserved: Reservation;
};

/** Keeps tenants within their quotas, all workers of the store together. Each method is one atomic transaction. */
export interface QuotaStore {
  /** What the tenant has. */
  holdings(tenant: TenantId): Promise<Holdings>;
  /**
   * Reserves for a job what it will add at most. A job that has a reservation keeps it: then nothing is changed and nothing is
   * refused. `QUOTA_EXCEEDED` where what the tenant has, what its jobs have reserved and this add up to more than its quota
   * in any of the three of which this is not 0; `FENCED` as in `JobStore`.
   *
   * The end of the job releases what is left of it, in the transaction that keeps its usage record, whoever ends it. What a part
   * of the job has stored is taken from the job's reservation when the part ends. Being postponed changes nothing.
   */
  reserve(claim: JobClaim, reservation: Reservation, quota: Quota): Promise<void>;
}
