import type { CallOptions, Clock, JobStore } from '../contracts/index.ts';
import type { IdSource } from '../identity.ts';
import type { JobRunner } from '../jobs/runner.ts';
import type { Scheduler } from '../jobs/scheduler.ts';
import type { OperationServices } from '../operations/services.ts';
import type { QuotaOf } from '../policy/quota.ts';
import type { Announcer } from './announcer.ts';
import type { TemplateCatalog } from './template-catalog.ts';

/** What the engine shares with its sessions. */
export interface SessionServices {
  /** Where jobs and plans live. */
  readonly store: JobStore;
  /** Providers and banks. */
  readonly operations: OperationServices;
  /** What jobs can be made from by name. */
  readonly templates: TemplateCatalog;
  /** Runs jobs. */
  readonly runner: JobRunner;
  /** Fires schedules. */
  readonly scheduler: Scheduler;
  /** Tells the host. */
  readonly announcer: Announcer;
  /** Tells what a tenant may have. */
  readonly quotaOf: QuotaOf;
  /** The time. */
  readonly clock: Clock;
  /** Makes ids. */
  readonly ids: IdSource;
}

/** Options of a call that a host may abort. */
export type Cancellable = Partial<CallOptions>;

const forever: AbortSignal = new AbortController().signal;

/** A host's options as a plugin wants them. */
export const callOf = (options: Cancellable | undefined): CallOptions => ({
  signal: options?.signal ?? forever,
});
