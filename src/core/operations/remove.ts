import { type CheckpointHold, everyCopy } from '../archive/catalog.ts';
import { putAddendum } from '../archive/checkpoint.ts';
import type { CheckpointId, JsonObject } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease } from '../policy/exclusion.ts';
import { isLeft, removeCopies, subjectOf } from './copies.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import { assertNotLocked } from './locks.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

const STOOD = 'stood';
const MARK = 'mark';

/** What a remove job is asked to do. */
export type RemoveInput = {
  /** What to remove. */
  readonly checkpoint: CheckpointId;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a remove job has done. */
export type RemoveResult = {
  /** The checkpoint, which is listed as removed from now on. */
  readonly checkpoint: CheckpointId;
  /** Snapshots that were adopted and stay on their arrays, left to those who made them; where there are any. */
  readonly left?: number;
  /** What could not be cleared up, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};

/** `HELD` where somebody holds a checkpoint. */
export function assertNotHeld(holds: readonly CheckpointHold[], checkpoint: CheckpointId): void {
  if (holds.length === 0) return;
  const who = holds.map(({ id, actor }) => `${id} of ${actor}`).join(', ');
  throw new FafnirError('HELD', `checkpoint ${checkpoint} is held: ${who}`);
}

/**
 * Gives a checkpoint up: first it is marked, so that it is never called available without its copies, then its copies
 * go. What other checkpoints share stays.
 */
export class Remove implements Operation {
  readonly name = 'remove';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const call = { signal: context.signal };
    const { checkpoint } = context.job.input as RemoveInput;
    await context.hold([checkpointLease(checkpoint, 'remove')]);
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    const { vault, commit, holds } = opened;
    assertNotHeld(holds, checkpoint);
    assertNotLocked(commit, context.clock.now());
    context.usage.concerns({ ...subjectOf({ commit }), logical: commit.bytes });
    // One that was removed before is not given up a second time.
    await context.step(STOOD, async () => opened.state !== 'removed');
    await context.effect(MARK, async () => {
      const at = new Date(context.clock.now()).toISOString();
      await putAddendum(vault, commit.id, { kind: 'removed', job: context.job.id, at }, call);
      return null;
    });
    countRemoval(context, opened);
    return { checkpoint } satisfies RemoveResult;
  }

  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const { checkpoint } = context.job.input as RemoveInput;
    const leftovers = new Leftovers(context.signal);
    const call = { signal: context.signal };
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    const copies = everyCopy(opened);
    const left = copies.filter((copy) => isLeft(opened, copy)).length;
    // A copy that an earlier job gave up, and then could not remove, goes with the rest.
    await removeCopies(context, this.#services, leftovers, opened, copies);
    return leftovers.addTo(left === 0 ? result : { ...result, left });
  }

  // All its effects are removals: late ones remove what is given up.
  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  // A checkpoint that was marked stays marked; one that was not is as it was.
  async undo(context: OperationContext): Promise<void> {
    if (!context.intents().includes(MARK)) return;
    const { checkpoint } = context.job.input as RemoveInput;
    const opened = await context.retry((call) =>
      this.#services.checkpoint(context.job.tenant, checkpoint, call),
    );
    if (opened.state === 'removed') countRemoval(context, opened);
  }
}

function countRemoval(context: OperationContext, { commit: { bytes }, vault }: OpenedCheckpoint): void {
  if (context.result(STOOD) !== true) return;
  context.usage.concerns({ checkpoints: { bank: vault.bank.name, checkpoints: -1, protected: -bytes } });
}
