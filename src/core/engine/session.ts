import type { CheckpointId, JsonObject, PlanId, Resource, TenantId } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { parseCheckpointId, parseJobId, parsePlanId } from '../identity.ts';
import type { CopiesPreview, Preview, ProtectPreview, RestorePreview } from '../operations/previews.ts';
import type { ProtectInput, ProtectResult } from '../operations/protect.ts';
import type { RemoveInput, RemoveResult } from '../operations/remove.ts';
import type { RestoreInput, RestoreResult } from '../operations/restore.ts';
import { protectableFor } from '../operations/services.ts';
import type { VerifyInput, VerifyResult } from '../operations/verify.ts';
import { Checkpoints } from './checkpoints.ts';
import type { Job } from './job.ts';
import { Jobs } from './jobs.ts';
import { Plans } from './plans.ts';
import { Previews } from './previews.ts';
import { parseRestoreOptions, type RestoreOptions } from './restore-options.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';

/** The engine as one actor of one tenant sees it. It reaches nothing of any other tenant. */
export class Session {
  /** Whose data it is. */
  readonly tenant: TenantId;
  /** Who acts; recorded with all that is done. */
  readonly actor: string;
  /** What is protected. */
  readonly plans: Plans;
  /** What was made. */
  readonly checkpoints: Checkpoints;
  /** What runs and ran. */
  readonly jobs: Jobs;
  /** What operations would do. */
  readonly preview: Previews;
  readonly #services: SessionServices;

  /** Made by `Engine.for`. */
  constructor(services: SessionServices, tenant: TenantId, actor: string) {
    this.#services = services;
    this.tenant = tenant;
    this.actor = actor;
    this.plans = new Plans(services, tenant);
    this.checkpoints = new Checkpoints(services, tenant);
    this.jobs = new Jobs(services, tenant);
    this.preview = new Previews(services, tenant);
  }

  /** The resources of a type that a provider sees: what a plan can begin with. */
  resources(provider: string, type: string, options?: Cancellable): AsyncIterable<Resource> {
    return protectableFor(this.#services.operations.provider(provider), { type }).list(callOf(options));
  }

  /** Makes a checkpoint. The job runs on when the caller goes; an abort of `signal` cancels it. */
  async protect(plan: PlanId, options?: Cancellable): Promise<Job<ProtectResult>> {
    return this.#protect(plan, null, options);
  }

  /** Makes the application of a checkpoint again, beside whatever is there. */
  async restore(
    checkpoint: CheckpointId,
    options: RestoreOptions & Cancellable,
  ): Promise<Job<RestoreResult>> {
    const { signal, ...rest } = options;
    const input = { checkpoint: parseCheckpointId(checkpoint), ...parseRestoreOptions(rest) };
    return this.#submit<RestoreInput, RestoreResult>('restore', input, signal && { signal });
  }

  /** Reads every copy of a checkpoint and records what that proves. */
  async verify(checkpoint: CheckpointId, options?: Cancellable): Promise<Job<VerifyResult>> {
    return this.#submit<VerifyInput, VerifyResult>(
      'verify',
      { checkpoint: parseCheckpointId(checkpoint) },
      options,
    );
  }

  /** Gives a checkpoint up and removes its copies; what other checkpoints share stays. */
  async remove(checkpoint: CheckpointId, options?: Cancellable): Promise<Job<RemoveResult>> {
    return this.#submit<RemoveInput, RemoveResult>(
      'remove',
      { checkpoint: parseCheckpointId(checkpoint) },
      options,
    );
  }

  /** Does just what a preview says, or refuses. */
  run(preview: ProtectPreview, options?: Cancellable): Promise<Job<ProtectResult>>;
  run(preview: RestorePreview, options?: Cancellable): Promise<Job<RestoreResult>>;
  run(preview: CopiesPreview<'verify'>, options?: Cancellable): Promise<Job<VerifyResult>>;
  run(preview: CopiesPreview<'remove'>, options?: Cancellable): Promise<Job<RemoveResult>>;
  async run(
    preview: Preview,
    options?: Cancellable,
  ): Promise<Job<ProtectResult> | Job<RestoreResult> | Job<VerifyResult> | Job<RemoveResult>> {
    switch (preview.operation) {
      case 'protect':
        return this.#protect(preview.plan, preview.graph, options);
      case 'restore':
        return this.restore(preview.checkpoint, { to: preview.to, map: preview.map, ...options });
      case 'verify':
        return this.verify(preview.checkpoint, options);
      case 'remove':
        return this.remove(preview.checkpoint, options);
      default:
        throw unknownPreview(preview);
    }
  }

  async #protect(id: PlanId, graph: string | null, options?: Cancellable): Promise<Job<ProtectResult>> {
    const plan = await this.#services.operations.plan(this.tenant, parsePlanId(id));
    return this.#submit<ProtectInput, ProtectResult>(
      'protect',
      { plan, graph, pauseMilliseconds: 10_000 },
      options,
    );
  }

  async #submit<Input extends JsonObject, Result>(
    operation: string,
    input: Input,
    { signal }: Cancellable = {},
  ): Promise<Job<Result>> {
    signal?.throwIfAborted();
    const { runner, clock, ids } = this.#services;
    const createdAt = clock.now();
    const id = parseJobId(ids(createdAt));
    const { tenant, actor } = this;
    await runner.submit({ id, tenant, actor, operation, operationVersion: 1, input, createdAt });
    const job = this.jobs.handle<Result>(id);
    if (signal !== undefined) this.#cancelWith(signal, job);
    return job;
  }

  #cancelWith(signal: AbortSignal, job: Job<unknown>): void {
    const cancel = (): void => {
      // A job that cannot be told now learns of it no later than with its next heartbeat, or has ended.
      job.cancel().catch(() => undefined);
    };
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    const forget = this.#services.announcer.on('job.ended', ({ job: ended }) => {
      if (ended !== job.id) return;
      signal.removeEventListener('abort', cancel);
      forget();
    });
  }
}

const unknownPreview = (preview: never): FafnirError =>
  new FafnirError('INVALID_OPTIONS', `run: not a preview: ${JSON.stringify(preview).slice(0, 128)}`);
