import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  AuditEntry,
  CallOptions,
  JobClaim,
  JobId,
  JobOutcome,
  JobRecord,
  JobStore,
  NewJob,
  Place,
  TenantId,
} from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import type { EngineEvent, JobProgress } from '../events.ts';
import { NOTHING_USED } from '../policy/metering.ts';
import type { QuotaOf } from '../policy/quota.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { type Asked, endOf, submitted } from './audit.ts';
import type { ChildJob, ChildRunner } from './children.ts';
import { execute } from './execute.ts';
import { removeLateEffects } from './late-effects.ts';
import type { Operation } from './operation.ts';
import type { StepSettings } from './steps.ts';
import { LOOK_PAUSE, pauseUntilWoken } from './waiting.ts';

/** What a runner works with. */
export interface RunnerOptions extends StepSettings {
  /** Where jobs live. */
  readonly store: JobStore;
  /** What jobs can do, by name. */
  readonly operations: ReadonlyMap<string, Operation>;
  /** How long a claim lasts unless extended. */
  readonly leaseMilliseconds: number;
  /** False where this process only submits jobs, for others to run. */
  readonly worker: boolean;
  /** How many parts of a job this process runs at once; it leaves the rest to others, or to later. */
  readonly partsAtOnce: number;
  /** What a job needs a place of while it runs, over all workers of the store. */
  placesOf?(job: JobRecord): readonly Place[];
  /** Tells what a tenant may have. Without it there are no quotas. */
  readonly quotaOf?: QuotaOf;
  /** Tells the host. */
  emit(event: EngineEvent): void;
}

/** Runs jobs in this process: those that are submitted here, and those that another worker left. */
export class JobRunner {
  readonly #options: RunnerOptions;
  readonly #closing = new AbortController();
  readonly #running = new Map<
    JobId,
    {
      readonly parent?: JobId | undefined;
      readonly ended: Promise<unknown>;
      readonly cancel: AbortController;
    }
  >();
  readonly #listeners = new Map<JobId, (progress: JobProgress) => void>();
  readonly #background = new Set<Promise<void>>();
  #sweeping: Promise<void> = Promise.resolve();
  #taking: Promise<void> = Promise.resolve();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Takes up what other workers left: now, which rejects where the store cannot be used, and from time to time. */
  async start(): Promise<void> {
    if (!this.#options.worker) return;
    await this.#takeUp();
    this.#sweeping = this.#sweep();
  }

  /**
   * Adds a job, and runs it. Where the claim of another one is given it is a part of that, or what that leads to, and no quota
   * is in its way.
   */
  async submit(job: NewJob, parent?: JobClaim, asked?: Asked): Promise<void> {
    this.assertOpen();
    const quota = parent === undefined ? await this.#options.quotaOf?.(job.tenant) : undefined;
    const audit = submitted(job, asked);
    await this.#options.store.enqueue(job, parent, { ...(quota && { quota }), ...(audit && { audit }) });
    if (job.parent === undefined) await this.take(job.id);
    else if (this.#options.worker) await this.#takeUp();
  }

  /** Runs a job that is in the store, unless another worker has it already. */
  async take(id: JobId): Promise<void> {
    const claim = this.#options.worker ? await this.#claim(id) : undefined;
    if (claim !== undefined) this.#run(claim);
  }

  /** Resolves with a job's outcome, also where another worker runs it. */
  async outcome(tenant: TenantId, id: JobId, signal: AbortSignal): Promise<JobOutcome> {
    for (;;) {
      signal.throwIfAborted();
      const job = await this.#options.store.get(tenant, id);
      if (job === undefined) throw new FafnirError('NOT_FOUND', `no such job: ${id}`);
      if (job.outcome !== undefined) return job.outcome;
      const running = this.#running.get(id);
      if (running !== undefined) {
        await unlessAborted(running.ended, signal);
        continue;
      }
      this.assertOpen();
      await this.#options.clock.sleep(100, { signal: AbortSignal.any([signal, this.#closing.signal]) });
    }
  }

  /** Asks for a job's end; resolves when that is recorded. False where the job is over already. */
  async cancel(tenant: TenantId, id: JobId, audit?: AuditEntry): Promise<boolean> {
    const asked = await this.#options.store.requestCancel(tenant, id, audit);
    if (asked) this.#running.get(id)?.cancel.abort(new FafnirError('CANCELLED', `job ${id} was cancelled`));
    return asked;
  }

  readonly #children: ChildRunner = {
    run: async (child, parent, progress, signal) => {
      this.#listeners.set(child.id, progress);
      try {
        await this.#submitChild(child, parent);
        return await this.outcome(child.tenant, child.id, signal);
      } finally {
        this.#listeners.delete(child.id);
      }
    },
    start: (job, parent) => this.#submitChild(job, parent),
    end: async (tenant, id, signal) => {
      if (await this.cancel(tenant, id)) await this.outcome(tenant, id, signal);
    },
  };

  #submitChild(job: ChildJob, parent: JobClaim): Promise<void> {
    const operationVersion = this.#options.operations.get(job.operation)?.version ?? 0;
    return this.submit({ ...job, operationVersion }, parent);
  }

  /** Removes what arrived after a job had ended; see `removeLateEffects`. */
  removeLate(job: JobRecord, call: CallOptions): Promise<readonly string[]> {
    return removeLateEffects(this.#options, job, call);
  }

  /** Lets running jobs end (`drain`) or puts them down for the next worker; resolves when none is running. */
  async close(options: { readonly drain: boolean }): Promise<void> {
    if (options.drain) await this.#allEnded();
    this.#closing.abort(closed());
    await this.#sweeping;
    await this.#taking;
    await this.#allEnded();
    await Promise.all(this.#background);
  }

  /** Rejects with `CLOSED` once the runner was closed. */
  assertOpen(): void {
    if (this.#closing.signal.aborted) throw closed();
  }

  async #sweep(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await pauseUntilWoken(this.#options, signal);
        await this.#takeUp();
      } catch (error) {
        if (!signal.aborted) this.#failed(error);
      }
    }
  }

  // One after the other, or two that look at the same time would both take the last job that there is room for.
  #takeUp(): Promise<void> {
    const taken = this.#taking.then(async () => {
      for (;;) {
        const claim = this.#closing.signal.aborted ? undefined : await this.#claim();
        if (claim === undefined) return;
        this.#run(claim);
      }
    });
    this.#taking = taken.catch(() => undefined);
    return taken;
  }

  /** Jobs of which this process runs as many parts as it may. */
  #full(): readonly JobId[] {
    const parents = [...this.#running.values()].flatMap(({ parent }) => parent ?? []);
    const count = (id: JobId): number => parents.filter((parent) => parent === id).length;
    return [...new Set(parents)].filter((id) => count(id) >= this.#options.partsAtOnce);
  }

  #failed(error: unknown): void {
    this.#options.emit({ type: 'worker.failed', error: errorRecord(error) });
  }

  async #allEnded(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #claim(job?: JobId): Promise<JobClaim | undefined> {
    const { store, clock, leaseMilliseconds } = this.#options;
    const now = clock.now();
    const which = job === undefined ? { except: this.#full() } : { job };
    return store.claim({ now, leaseUntil: now + leaseMilliseconds, ...which });
  }

  #run(claim: JobClaim): void {
    const { id, parent } = claim.job;
    const cancel = new AbortController();
    const ended = this.#execute(claim, cancel.signal)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#running.delete(id);
        if (parent !== undefined) this.#inBackground(this.#takeUp());
      });
    this.#running.set(id, { parent, ended, cancel });
  }

  async #execute(claim: JobClaim, cancelled: AbortSignal): Promise<void> {
    const { store, operations } = this.#options;
    const { id, tenant, epoch, parent } = claim.job;
    // A part of a job tells through that job, wherever it runs.
    const emit = (event: EngineEvent): void => {
      if (parent === undefined) this.#options.emit(event);
      else if (event.type === 'job.progress') this.#listeners.get(id)?.(event.progress);
    };
    // Later, so that a host hears also of jobs that an engine takes up when it starts.
    await nextTurn();
    emit({ type: 'job.started', job: id, tenant, operation: claim.job.operation, attempt: epoch });
    const operation = operations.get(claim.job.operation);
    if (operation?.version !== claim.job.operationVersion) {
      const what = `${claim.job.operation} version ${claim.job.operationVersion}`;
      const error = errorRecord(new FafnirError('UNSUPPORTED', `this engine has no operation ${what}`));
      const outcome = { state: 'failed', error } as const;
      await store.finish(claim, outcome, endOf(claim.job, outcome, this.#options.clock.now(), NOTHING_USED));
      emit({ type: 'job.ended', job: id, tenant, outcome });
      return;
    }
    const closing = this.#closing.signal;
    const departure = await execute({
      ...this.#options,
      claim,
      operation,
      closing,
      cancelled,
      children: this.#children,
      emit,
    });
    if (departure === 'unaccounted') this.#inBackground(this.#removeLateEffects(claim, closing));
  }

  #inBackground(work: Promise<void>): void {
    const ended = work
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) this.#failed(error);
      })
      .finally(() => this.#background.delete(ended));
    this.#background.add(ended);
  }

  // Nobody else knows that they may have arrived. When this worker closes before, `reconcile` finds them.
  async #removeLateEffects({ job: { tenant, id } }: JobClaim, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    let job = await store.get(tenant, id);
    while (job !== undefined && job.outcome === undefined) {
      await clock.sleep(LOOK_PAUSE, { signal });
      job = await store.get(tenant, id);
    }
    if (job !== undefined) await removeLateEffects(this.#options, job, { signal });
  }
}

const closed = (): FafnirError => new FafnirError('CLOSED', 'the engine was closed');
