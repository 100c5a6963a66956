import { putAddendum } from '../archive/checkpoint.ts';
import type { CheckpointId, JobId, JsonObject } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease } from '../policy/exclusion.ts';
import { subjectOf } from './copies.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

/** What a hold job is asked to do. */
export type HoldInput = {
  /** What to hold. */
  readonly checkpoint: CheckpointId;
  /** The hold to lift; null to set one. */
  readonly lift: JobId | null;
  /** Why, for people. */
  readonly reason: string;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a hold job has done. */
export type HoldResult = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** The hold that was set or lifted. */
  readonly hold: JobId;
};

/** Sets a hold on a checkpoint, or lifts one. Removals exclude it, so that one of the two comes first everywhere. */
export class Hold implements Operation {
  readonly name = 'hold';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { checkpoint, lift, reason } = context.job.input as HoldInput;
    await context.hold([checkpointLease(checkpoint, 'read')]);
    const opened = await this.#open(context);
    if (opened.state === 'removed')
      throw new FafnirError('NOT_AVAILABLE', `checkpoint ${checkpoint} was removed`);
    context.usage.concerns(subjectOf(opened));
    const { id, actor } = context.job;
    if (lift === null) {
      await this.#put(context, opened, 'set', { kind: 'held', actor, reason });
    } else {
      const isThere = opened.holds.some((hold) => hold.id === lift) || context.intents().includes('lift');
      if (!isThere) throw new FafnirError('NOT_FOUND', `checkpoint ${checkpoint} has no hold ${lift}`);
      await this.#put(context, opened, 'lift', { kind: 'hold-lifted', hold: lift, actor, reason });
    }
    return { checkpoint, hold: lift ?? id } satisfies HoldResult;
  }

  settle(_context: OperationContext, result: JsonObject): Promise<JsonObject> {
    return Promise.resolve(result);
  }

  // A hold that was to be lifted may have been: nobody can set it again under its name.
  async undo(context: OperationContext): Promise<void> {
    if (!context.intents().includes('set')) return;
    const { id, actor } = context.job;
    const words = { hold: id, actor, reason: 'the job that set it did not succeed' };
    await this.#put(context, await this.#open(context), 'take-back', { kind: 'hold-lifted', ...words });
  }

  // A hold that arrives late finds that it was lifted.
  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  #open(context: OperationContext): Promise<OpenedCheckpoint> {
    const { checkpoint } = context.job.input as HoldInput;
    return context.retry((call) => this.#services.checkpoint(context.job.tenant, checkpoint, call));
  }

  async #put(
    context: OperationContext,
    { vault, commit }: OpenedCheckpoint,
    step: string,
    words: HoldAddendum,
  ): Promise<void> {
    await context.effect(step, async (call) => {
      const at = new Date(context.clock.now()).toISOString();
      await putAddendum(vault, commit.id, { job: context.job.id, at, ...words }, call);
      return null;
    });
  }
}

type HoldAddendum = { readonly actor: string; readonly reason: string } & (
  | { readonly kind: 'held' }
  | { readonly kind: 'hold-lifted'; readonly hold: JobId }
);
