import type {
  AuditEntry,
  CallOptions,
  Clock,
  ErrorRecord,
  JobId,
  JobRecord,
  Json,
  JsonObject,
  Place,
  Reservation,
  ResourceLease,
} from '../contracts/index.ts';
import type { EngineEvent, JobProgress } from '../events.ts';
import type { Progress } from './progress.ts';
import type { Usage } from './usage.ts';

/** What a job does when another works on what it needs. */
export type WhenBusy = 'queue' | 'wait' | 'refuse';

/** What the audit is to tell of something that a job did or found; the job itself goes without saying. */
export type Telling = Pick<AuditEntry, 'action' | 'object'>;

/** What operation code runs with. It has no other time and no other way to do a thing once. */
export interface OperationContext {
  /** The job. */
  readonly job: JobRecord;
  /** Aborted when the work should stop; in `undo`, only when another worker took over or this one closes. */
  readonly signal: AbortSignal;
  /** The time. */
  readonly clock: Clock;
  /** How far the job is. */
  readonly progress: Progress;
  /** What it has used, and what it is about. */
  readonly usage: Pick<Usage, 'concerns' | 'correct' | 'total'>;
  /**
   * Runs `work` unless the journal has its result. For work that only reads, or that finds what an earlier attempt
   * made: its result becomes durable with the next effect, and losing it repeats the work. `name` is the step's
   * identity: unique in the job and the same in every attempt; its first part is the kind of step, whose policy says
   * how often errors that are `retryable` are tried again and how long an attempt may take. The value is small JSON.
   */
  step<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input?: Json,
  ): Promise<Value>;
  /**
   * Like `step` for work with an effect: an intent is durable in the journal before it begins, the result before it
   * resolves. `input` is what the effect depends on beside the name: an attempt with another input is refused with
   * `JOURNAL_MISMATCH` rather than guessed to be the same.
   */
  effect<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input?: Json,
  ): Promise<Value>;
  /**
   * Like `effect` for what the audit is to tell: its record is added with the step's result, in one transaction, so that it is
   * told once, wherever a worker dies.
   */
  toldEffect<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    tell: (value: Value) => Telling,
  ): Promise<Value>;
  /**
   * Holds resources until the job ends. Where another job stands against it, what the job's input says `whenBusy`
   * happens: `queue` (the job goes back into the queue and begins again later; so nothing may have been done yet),
   * `wait` (this worker tries again until it is free) or `refuse` (`BUSY`). `whenBusy` here goes before the input's. In a
   * job that is a part of another it does nothing: that one holds what its parts need.
   */
  hold(leases: readonly ResourceLease[], whenBusy?: WhenBusy): Promise<void>;
  /**
   * Waits until there is a place for this job under each name, over all workers of the store, and has them from then on until
   * this worker lets go of the job. Called once at most, so that no job waits while it has some.
   */
  occupy(places: readonly Place[]): Promise<void>;
  /**
   * Reserves what the job will add at most, where tenants have quotas; `QUOTA_EXCEEDED` where that is more than its tenant may
   * have. Called before the first effect; repeated by each attempt, it counts once.
   */
  reserve(reservation: Reservation): Promise<void>;
  /**
   * Runs another operation as a job of its own, which any worker may take up, and resolves with its result. Like an
   * effect it is done once: `name` is the step's and with it the child's identity. Its failure is this step's; when
   * this job's work should stop, so should the child's, and it has ended before this job is undone. The child holds
   * no resources: this job does, for it lasts longer.
   */
  child(
    name: string,
    request: { readonly operation: string; readonly input: JsonObject },
    progress: (progress: JobProgress) => void,
  ): Promise<JsonObject>;
  /**
   * Adds a job of its own that goes on when this one has ended, and resolves with its id. Done once, like an effect; only
   * for a job whose success stands, as nothing takes it back.
   */
  start(name: string, request: { readonly operation: string; readonly input: JsonObject }): Promise<JobId>;
  /** Tries work that only reads again where its error is `retryable`; nothing is journaled. */
  retry<Value>(work: (call: CallOptions) => Promise<Value>): Promise<Value>;
  /**
   * Ends what was begun outside: like `retry`, under the policy of the kind, but neither a cancel nor the closing of the
   * engine stops it, nor that another worker took over. So it may only do what is right for whoever has the job.
   */
  ensure<Value>(kind: string, work: (call: CallOptions) => Promise<Value>): Promise<Value>;
  /** The steps whose effect may exist: all that have an intent in the journal, in order. */
  intents(): readonly string[];
  /** What the step of this name came to, or undefined where it has not ended. */
  result(name: string): Json | undefined;
  /** What the finished steps whose names begin with `prefix` came to, by name. */
  results(prefix: string): ReadonlyMap<string, Json>;
  /** Tells the host. */
  emit(event: EngineEvent): void;
  /** Resolves in a later turn of the event loop, so that long work lets others have theirs. */
  nextTurn(): Promise<void>;
}

/** An operation as code. A job keeps the version that it began with. */
export interface Operation {
  /** Such as `protect`. */
  readonly name: string;
  /** Raised when the steps of running jobs would no longer be met. */
  readonly version: number;
  /** Does the work, and says in brief what came of it. Deterministic but for its steps. */
  run(context: OperationContext): Promise<JsonObject>;
  /**
   * Clears up after a success that stands: can no longer be cancelled or undone. Resolves with the job's result,
   * which names what could not be cleared up.
   */
  settle(context: OperationContext, result: JsonObject): Promise<JsonObject>;
  /**
   * Removes what arrived too late: effects that a worker had begun when it was no longer heard of, and that the end
   * of the job does not account for. `intents` are all that the job ever had. Resolves with what was found and
   * removed, as sentences; may be repeated.
   */
  removeLate(ended: JobRecord, intents: readonly string[], call: CallOptions): Promise<readonly string[]>;
  /**
   * Called once `run` has failed for good or was cancelled, which is `why`: leaves nothing of it behind but what it was
   * asked to keep. May be repeated.
   */
  undo(context: OperationContext, why: ErrorRecord): Promise<void>;
}
