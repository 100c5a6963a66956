import type { CheckpointId, ErrorRecord, JobId, JobOutcome, PlanId, TenantId } from './contracts/index.ts';

/** How far a job is: what is done of what is known so far. Done never goes back. */
export type JobProgress = {
  /** Resources. */
  readonly items: { readonly done: number; readonly total: number };
  /** Bytes of volumes dealt with. */
  readonly bytes: { readonly done: number; readonly total: number };
};

/** What a job tells while it runs. */
export type JobEvent =
  /** A worker took the job up; `attempt` is above 1 when an earlier worker died or was closed. */
  | {
      readonly type: 'job.started';
      readonly job: JobId;
      readonly tenant: TenantId;
      readonly operation: string;
      readonly attempt: number;
    }
  /** The job got on. */
  | {
      readonly type: 'job.progress';
      readonly job: JobId;
      readonly tenant: TenantId;
      readonly progress: JobProgress;
    }
  /** The job is over. */
  | {
      readonly type: 'job.ended';
      readonly job: JobId;
      readonly tenant: TenantId;
      readonly outcome: JobOutcome;
    };

/** All that an engine tells. Events inform only: nothing waits for a listener, and one that throws is ignored. */
export type EngineEvent =
  | JobEvent
  /** A checkpoint was committed. */
  | {
      readonly type: 'checkpoint.available';
      readonly checkpoint: CheckpointId;
      readonly plan: PlanId;
      readonly tenant: TenantId;
    }
  /** This worker could not use its store; it goes on trying, and jobs are taken up again when their leases end. */
  | { readonly type: 'worker.failed'; readonly error: ErrorRecord };

/** The event of one type. */
export type EventOf<Type extends EngineEvent['type']> = Extract<EngineEvent, { readonly type: Type }>;
