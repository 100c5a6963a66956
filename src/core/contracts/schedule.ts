import type { JobId, PlanId, ScheduleId, TenantId } from './identity.ts';
import type { ErrorRecord } from './job.ts';
import type { PlanOperation, TemplateCall } from './template.ts';

/** Times by the clock on a wall. */
export type ScheduleTimes = {
  /** Five fields: minute, hour, day of month, month, day of week; or a name such as `@daily`. */
  readonly cron?: string;
  /** An iCalendar rule, such as `FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=2;BYMINUTE=30`; one of `cron` and `rrule` is given. */
  readonly rrule?: string;
  /** Whose clock: a name of the IANA database, such as `Europe/Berlin`. */
  readonly timeZone: string;
  /** No tick before it, and where an `rrule` begins; milliseconds since 1970 UTC. */
  readonly start: number;
  /** No tick after it; milliseconds since 1970 UTC. */
  readonly end?: number;
};

/** What is to be done at each tick. */
export type ScheduledOperation = PlanOperation | TemplateCall;

/** When to do something with a plan. */
export type NewSchedule = {
  /** The schedule's id. */
  readonly id: ScheduleId;
  /** Whose schedule. */
  readonly tenant: TenantId;
  /** Who made it; its jobs act in this name. */
  readonly actor: string;
  /** With which plan. */
  readonly plan: PlanId;
  /** The site of the plan's provider. */
  readonly site: string;
  /** When; null where it is fired by events alone. */
  readonly when: ScheduleTimes | null;
  /** How long after it is due a tick is fired without being late, in milliseconds. */
  readonly windowMilliseconds: number;
  /** Each tick is due later than its time by less than this, in milliseconds. */
  readonly jitterMilliseconds: number;
  /** What. */
  readonly operation: ScheduledOperation;
  /** What becomes of late ticks: all are missed, the newest is fired, or all are, in order. */
  readonly missed: 'skip' | 'run-once' | 'catch-up';
  /** What becomes of a tick while the job of the one before is open: it is missed, it waits, or that job is cancelled. */
  readonly overlap: 'skip' | 'queue' | 'cancel-older';
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
} & SchedulePosition;

/** Where a schedule is in its ticks. */
export type SchedulePosition = {
  /** The time of the first tick that was not dealt with, milliseconds since 1970 UTC; null where none is left. */
  readonly next: number | null;
  /** When somebody is to look at it, milliseconds since 1970 UTC; null for never. */
  readonly wakeAt: number | null;
};

/** A schedule as the store knows it. */
export type ScheduleRecord = NewSchedule & {
  /** How often it was advanced or resumed. */
  readonly revision: number;
  /** The job of the tick that was fired last. */
  readonly lastJob: JobId | null;
  /** When it was last resumed, milliseconds since 1970 UTC; 0 for never. Ticks due until then are missed. */
  readonly resumedAt: number;
  /** What stands still, of those that it belongs to; empty where it may fire. */
  readonly pausedBy: readonly PauseScope['kind'][];
};

/** Why a tick was not fired. */
export type MissedReason =
  /** It was late, and due before the engine that looked began: none ran. */
  | 'stopped'
  /** It was late although an engine ran: that could not use its store, or the job before took too long. */
  | 'window'
  /** The schedule, its plan or its site was paused. */
  | 'paused'
  /** The job of the tick before was open. */
  | 'overlapped'
  /** The job could not be made; the error says why. */
  | 'refused';

/** What became of a tick: it is recorded once, and never changes. */
export type ScheduleTick = {
  /** The time that it stands for, or when the event came; milliseconds since 1970 UTC. */
  readonly time: number;
  /** The host's name of the event that fired it, unique within the schedule. */
  readonly event?: string;
  /** When this was recorded, milliseconds since 1970 UTC. */
  readonly recordedAt: number;
} & (
  | {
      /** A job was made, in the transaction that recorded this. */
      readonly state: 'fired';
      /** The job. */
      readonly job: JobId;
    }
  | {
      /** No job was made, and none will be. */
      readonly state: 'missed';
      /** Why. */
      readonly reason: MissedReason;
      /** Why it was refused. */
      readonly error?: ErrorRecord;
    }
);

/** Schedules that are paused together. */
export type PauseScope =
  | {
      /** All of a site, of every tenant. */
      readonly kind: 'site';
      /** The site's name. */
      readonly site: string;
    }
  | {
      /** All of a plan. */
      readonly kind: 'plan';
      /** Whose plan. */
      readonly tenant: TenantId;
      /** The plan. */
      readonly plan: PlanId;
    }
  | {
      /** One alone. */
      readonly kind: 'schedule';
      /** Whose schedule. */
      readonly tenant: TenantId;
      /** The schedule. */
      readonly schedule: ScheduleId;
    };
