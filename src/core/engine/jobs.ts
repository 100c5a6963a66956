import type { JobId, JobRecord, JobState, TenantId } from '../contracts/index.ts';
import { parseJobId } from '../identity.ts';
import type { StandIn } from '../operations/restore-plan.ts';
import { FILL, type RestoredVolume } from '../operations/restore-ways.ts';
import { entryOf } from './auditing.ts';
import { type Job, jobHandle } from './job.ts';
import type { SessionServices } from './session-services.ts';

/** A tenant's jobs. */
export class Jobs {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;
  readonly #actor: string;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId, actor: string) {
    this.#services = services;
    this.#tenant = tenant;
    this.#actor = actor;
  }

  /** A handle on a job, whoever started it. */
  handle<Result>(id: JobId): Job<Result> {
    const { runner, announcer } = this.#services;
    return jobHandle<Result>(this.#tenant, id, {
      outcome: (signal) => runner.outcome(this.#tenant, id, signal),
      cancel: (options) => {
        const asked = { actor: this.#actor, ...options };
        const entry = entryOf(this.#services, asked, 'job.cancel-requested', { job: id });
        return runner.cancel(this.#tenant, id, entry);
      },
      on: (type, listener) => announcer.on(type, listener),
    });
  }

  /** A job's record, or undefined where the tenant has none of that id. */
  async get(id: JobId): Promise<JobRecord | undefined> {
    return this.#services.store.get(this.#tenant, parseJobId(id));
  }

  /** The tenant's jobs in the order they were made: those that are no part of another, or the parts of one. */
  async *list(
    filter: { readonly state?: JobState; readonly parent?: JobId } = {},
  ): AsyncGenerator<JobRecord> {
    const { parent, ...rest } = filter;
    for await (const job of this.#services.store.list(this.#tenant, rest)) {
      if (job.parent === parent) yield job;
    }
  }

  /**
   * What now stands for each original of a restore job, as far as the job has got: its old ids and the new ones. What was
   * removed again is left out, so that of a job that failed this is what it kept.
   */
  async *standIns(id: JobId): AsyncGenerator<StandIn> {
    const rows = await this.#services.store.journal(this.#tenant, parseJobId(id));
    const undone = new Set(rows.flatMap(({ step }) => (step.startsWith('undo/') ? step.slice(5) : [])));
    for (const row of rows) {
      const tells = row.kind === 'result' && (row.step.startsWith('create/') || row.step.startsWith('map/'));
      if (!tells || undone.has(row.step)) continue;
      const { from, to } = row.value as StandIn;
      yield { from, to };
    }
  }

  /**
   * How each volume of a restore job got its bytes, and from which copy, as far as the job has got; every one was read back
   * and compared. What was undone is left out.
   */
  async *restored(id: JobId): AsyncGenerator<RestoredVolume> {
    const rows = await this.#services.store.journal(this.#tenant, parseJobId(id));
    const steps = new Set(rows.map(({ step }) => step));
    for (const row of rows) {
      if (row.kind !== 'result' || !row.step.startsWith(FILL)) continue;
      const name = row.step.slice(FILL.length);
      const isUndone = steps.has(`refill/${name}`) || steps.has(`undo/create/${name}`);
      if (!isUndone) yield row.value as RestoredVolume;
    }
  }
}
