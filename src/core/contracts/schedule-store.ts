import type { Addition } from './addition.ts';
import type { AuditEntry } from './audit.ts';
import type { ScheduleId, TenantId } from './identity.ts';
import type { NewJob } from './job.ts';
import type { NewSchedule, PauseScope, SchedulePosition, ScheduleRecord, ScheduleTick } from './schedule.ts';

/** A step of a schedule: ticks that were decided, at most one of them fired; what comes with the job is of the job. */
export type ScheduleAdvance = Addition & {
  /** Where the schedule is then. */
  readonly to: SchedulePosition;
  /** What became of ticks, in the order they are to be listed; may be empty. */
  readonly ticks: readonly ScheduleTick[];
  /** The job of the tick that is fired, where one is. */
  readonly job?: NewJob;
  /** What the tenant's chain is to tell of ticks that were missed, in this order and after what it tells of the job. */
  readonly missed?: readonly AuditEntry[];
};

/** When a schedule is to be looked at. It is no record, so that a damaged one stands in nobody's way. */
export type ScheduleWake = Pick<ScheduleRecord, 'tenant' | 'id'> & {
  /** Milliseconds since 1970 UTC. */
  readonly wakeAt: number;
};

/**
 * Where schedules are kept, with what became of their ticks. Each method is one atomic transaction, as in `JobStore`, also
 * with what is to be told in the chain; what a schedule says is not judged here.
 */
export interface ScheduleStore {
  /**
   * Keeps a schedule; `ALREADY_EXISTS` where the tenant has one of that id, `INVALID_OPTIONS` for what is not JSON;
   * `QUOTA_EXCEEDED` where the tenant would have more schedules than it may.
   */
  create(schedule: NewSchedule, addition?: Addition): Promise<ScheduleRecord>;
  /** The schedule, or undefined where this tenant has none of that id; `CORRUPT` where it is damaged. */
  get(tenant: TenantId, id: ScheduleId): Promise<ScheduleRecord | undefined>;
  /** The tenant's schedules in ascending order of id. */
  list(tenant: TenantId): AsyncIterable<ScheduleRecord>;
  /** Removes a schedule, its pause and its ticks; a missing one is success. Jobs stay. */
  remove(tenant: TenantId, id: ScheduleId, audit?: AuditEntry): Promise<void>;
  /** Of all tenants, those that have a `wakeAt`, in ascending order of it, at most `limit`. */
  earliest(limit: number): Promise<readonly ScheduleWake[]>;
  /**
   * Moves a schedule, records ticks and adds the job, which `lastJob` then names: all or nothing. False, and nothing is
   * changed, where the schedule's revision is no longer the given one, where it was removed, and, with a job, where
   * it is paused. Of several hosts that decide the same ticks one gets true. A job that exists is not added again;
   * otherwise errors are those of `JobStore.enqueue`. A tick of a time or event that was recorded is `ALREADY_EXISTS`.
   * Of the ticks that no event fired the newest 10,000 stay, and others are removed in the same transaction; one that is
   * older than all of so many is `ALREADY_EXISTS` too. Those of events stay, for nothing else tells that they were fired.
   */
  advance(schedule: ScheduleRecord, advance: ScheduleAdvance): Promise<boolean>;
  /** What became of ticks, in ascending order of time and then as recorded, those whose time is not before `from`. */
  ticks(tenant: TenantId, id: ScheduleId, filter: { readonly from?: number }): AsyncIterable<ScheduleTick>;
  /** What became of an event, or undefined where it was not recorded. */
  event(tenant: TenantId, id: ScheduleId, event: string): Promise<ScheduleTick | undefined>;
  /**
   * From now on no schedule of the scope is advanced with a job, be it made later; may be repeated. A pause of a site is told
   * in the operators' chain.
   */
  pause(scope: PauseScope, audit?: AuditEntry): Promise<void>;
  /** Ends a pause, and raises the revision of the scope's schedules with `resumedAt` as given; nothing where there is none. */
  resume(scope: PauseScope, resumedAt: number, audit?: AuditEntry): Promise<void>;
  /** What is paused, in no order. */
  pauses(): AsyncIterable<PauseScope>;
}
