import type {
  ChangedDefault,
  CheckpointId,
  ErrorRecord,
  JobId,
  JobOutcome,
  NotificationError,
  PlanId,
  ScheduleId,
  ScheduleTick,
  TenantId,
} from './contracts/index.ts';

/** A count that never goes back. */
export type Progressed = {
  /** What is done. */
  readonly done: number;
  /** What is known so far to be done in all. */
  readonly total: number;
};

/** How far a job is. */
export type JobProgress = {
  /** Resources or copies. */
  readonly items: Progressed;
  /** Bytes of volumes dealt with, read or known without reading. */
  readonly bytes: Progressed;
};

/** A worker took a job up. */
export type JobStarted = {
  /** Tells events apart. */
  readonly type: 'job.started';
  /** The job. */
  readonly job: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** What it does. */
  readonly operation: string;
  /** Above 1 when an earlier worker died or was closed. */
  readonly attempt: number;
};

/** A job got on. */
export type JobProgressed = {
  /** Tells events apart. */
  readonly type: 'job.progress';
  /** The job. */
  readonly job: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** How far it is. */
  readonly progress: JobProgress;
};

/** A job is over. */
export type JobEnded = {
  /** Tells events apart. */
  readonly type: 'job.ended';
  /** The job. */
  readonly job: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** How it ended. */
  readonly outcome: JobOutcome;
};

/** A checkpoint was committed. Told again where a worker died in that moment. */
export type CheckpointCommitted = {
  /** Tells events apart. */
  readonly type: 'checkpoint.committed';
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** The plan it was made of. */
  readonly plan: PlanId;
  /** Whose checkpoint. */
  readonly tenant: TenantId;
  /** What it is good for. */
  readonly state: 'available' | 'partial';
};

/** The volumes of a checkpoint were archived after its commit, and the archives are proven. */
export type CheckpointArchived = {
  /** Tells events apart. */
  readonly type: 'checkpoint.archived';
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** The plan it was made of. */
  readonly plan: PlanId;
  /** Whose checkpoint. */
  readonly tenant: TenantId;
};

/**
 * A provider or tenant decides otherwise for a plan than when its newest checkpoint was made, and nobody chose for the plan.
 * Told by each run until one has made a checkpoint.
 */
export type PolicyChanged = {
  /** Tells events apart. */
  readonly type: 'policy.changed';
  /** The plan that is being protected. */
  readonly plan: PlanId;
  /** Whose plan. */
  readonly tenant: TenantId;
  /** What is otherwise. */
  readonly changes: readonly ChangedDefault[];
};

/**
 * An array had called bytes unchanged that were not, as a comparison with the source showed. The archive that was made does
 * not rely on it; report it to the maker of the array's plugin.
 */
export type ArrayDistrusted = {
  /** Tells events apart. */
  readonly type: 'array.distrusted';
  /** The job that compared. */
  readonly job: JobId;
  /** Whose job. */
  readonly tenant: TenantId;
  /** The array's name. */
  readonly array: string;
  /** The array's id of the volume. */
  readonly volume: string;
  /** How it was found out. */
  readonly reason: string;
  /** Checkpoints whose archives of the volume relied on the array and were never compared: these do not count any more. */
  readonly checkpoints: readonly CheckpointId[];
};

/** This engine fired a tick of a schedule, or recorded that it was missed. Not told again where it dies in that moment. */
export type ScheduleTicked = {
  /** Tells events apart. */
  readonly type: 'schedule.tick';
  /** The schedule. */
  readonly schedule: ScheduleId;
  /** Whose schedule. */
  readonly tenant: TenantId;
  /** What became of it. */
  readonly tick: ScheduleTick;
};

/** This worker could not use its store. It goes on trying; jobs are taken up again when their leases end. */
export type WorkerFailed = {
  /** Tells events apart. */
  readonly type: 'worker.failed';
  /** Why. */
  readonly error: ErrorRecord;
};

/** All tries to tell a notifier of an audit record failed. `engine.notifications.resend` begins anew. */
export type NotificationDied = {
  /** Tells events apart. */
  readonly type: 'notification.dead';
  /** The notifier's name. */
  readonly notifier: string;
  /** Whose audit; null for the operators'. */
  readonly tenant: TenantId | null;
  /** The number of the record. */
  readonly number: number;
  /** Why the last try failed. */
  readonly error: NotificationError;
};

/** What a job tells while it runs. */
export type JobEvent = JobStarted | JobProgressed | JobEnded;

/** All that an engine tells. Events inform only: nothing waits for a listener, and one that throws is ignored. */
export type EngineEvent =
  | JobEvent
  | CheckpointCommitted
  | CheckpointArchived
  | PolicyChanged
  | ArrayDistrusted
  | ScheduleTicked
  | NotificationDied
  | WorkerFailed;

/** The event of one type. */
export type EventOf<Type extends EngineEvent['type']> = Extract<EngineEvent, Record<'type', Type>>;
