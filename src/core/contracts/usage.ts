import type { AuditEntry } from './audit.ts';
import type { CheckpointId, JobId, PlanId, TenantId } from './identity.ts';
import type { JobOutcome } from './job.ts';

/** Calls that were made for a job; each try counts, and a list counts for each turn in which its items were taken. */
export type CallCounts = {
  /** Of storage arrays; reads and writes of open volumes aside. */
  readonly arrays: number;
  /** Of banks. */
  readonly banks: number;
};

/** What a job added to a bank. */
export type BankUsage = {
  /** The bank's name. */
  readonly bank: string;
  /** Bytes of objects that it created less those that it removed, as far as its workers counted; and `corrected`. */
  readonly stored: number;
  /**
   * The part of `stored` that this job did not add itself, but found to be there, or gone, that no record tells of. Only
   * collections look for that.
   */
  readonly corrected: number;
  /**
   * Checkpoints that it made there less those that it gave up. Of a collection: what it found there beyond what all records
   * tell of.
   */
  readonly checkpoints: number;
  /** The size of the volumes in those checkpoints, whatever their copies need. */
  readonly protected: number;
};

/** What a job used, that a host can bill. All sizes are in bytes. */
export type JobUsage = {
  /** The provider that it worked with, or null where it failed before that was known. */
  readonly provider: string | null;
  /** The plan that it worked for, or null likewise, and where it works for none. */
  readonly plan: PlanId | null;
  /** The checkpoint that it made or worked on, or null where there is none. */
  readonly checkpoint: CheckpointId | null;
  /** The size of the volumes that it dealt with, whatever became of it; 0 in a part of another job, which counts them. */
  readonly logical: number;
  /** Bytes of volumes that it read to archive them: all in a first archive, then what changed. */
  readonly changed: number;
  /** The size of the volumes whose snapshots it took on arrays, less those that it removed. What a snapshot occupies only its array knows. */
  readonly array: number;
  /** What it added to banks, negative where it removed more: the sum over `banks`. */
  readonly stored: number;
  /** Checkpoints that it made less those that it gave up: the sum over `banks`. */
  readonly checkpoints: number;
  /** The size of the volumes in them: the sum over `banks`. */
  readonly protected: number;
  /** The same by bank, in ascending order of name; banks in which nothing changed are left out. */
  readonly banks: readonly BankUsage[];
  /** Calls. */
  readonly calls: CallCounts;
  /**
   * False where something may be missing in `changed`, `array`, `stored` and `calls`: a worker died before it had written down
   * what it had counted, or a bank did not say whether it had stored or removed something.
   */
  readonly isWhole: boolean;
};

/** What goes into the store together with a job's outcome. */
export type JobEnd = {
  /** When the job ended, milliseconds since 1970 UTC. */
  readonly at: number;
  /** What it used. */
  readonly usage: JobUsage;
  /** What the tenant's chain is to tell of it. */
  readonly audit?: AuditEntry;
};

/** A job that has ended, and what it used: one record for each, also for those that failed or were cancelled. */
export type UsageRecord = JobUsage & {
  /** The job. */
  readonly job: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** Who asked. */
  readonly actor: string;
  /** Which operation. */
  readonly operation: string;
  /** The job that it is a part of, and that lasted longer. What both used adds up. */
  readonly parent?: JobId;
  /** How it ended. */
  readonly state: JobOutcome['state'];
  /** When it was asked for, milliseconds since 1970 UTC. */
  readonly createdAt: number;
  /** When a worker first took it, milliseconds since 1970 UTC. */
  readonly startedAt: number;
  /** When it ended, milliseconds since 1970 UTC. */
  readonly endedAt: number;
};

/** Which records: those of jobs that ended in a time. */
export type UsageFilter = {
  /** The first instant that counts, milliseconds since 1970 UTC; all before `until` unless given. */
  readonly from?: number;
  /** The first instant that counts no more, milliseconds since 1970 UTC; all since `from` unless given. */
  readonly until?: number;
};
