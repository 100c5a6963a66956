import type { CallOptions, CheckpointId, JsonObject, PlanId, RetentionPolicy } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease, planLease } from '../policy/exclusion.ts';
import type { RetentionDecision } from '../policy/retention.ts';
import { removeCopy } from './copies.ts';
import { assertNotLocked } from './locks.ts';
import { previewRetain, type Removal, removalsOf } from './retain-preview.ts';
import { copiesOf, retained } from './retained-checkpoints.ts';
import type { OperationServices } from './services.ts';

/** What a retain job is asked to do. */
export type RetainInput = {
  /** Whose checkpoints. */
  readonly plan: PlanId;
  /** How long they stay. */
  readonly policy: RetentionPolicy;
  /** No more than this goes, as previewed; null where nothing was previewed. */
  readonly atMost: readonly Removal[] | null;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a retain job has done. */
export type RetainResult = {
  /** The plan. */
  readonly plan: PlanId;
  /** How many checkpoints were there. */
  readonly checkpoints: number;
  /** Those that were removed, the oldest first. */
  readonly removed: readonly CheckpointId[];
  /** Those that have fewer copies than before. */
  readonly reduced: readonly CheckpointId[];
  /** Those that stay until the next run, because a job uses them. */
  readonly busy: readonly CheckpointId[];
  /** How many more are to go: one job removes a thousand at most. */
  readonly more: number;
  /** What could not be done, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};

/** What was decided, as the journal has it. */
type Chosen = {
  readonly checkpoints: number;
  readonly reliedOn: readonly CheckpointId[];
  readonly removals: readonly Removal[];
  readonly more: number;
};

const MOST_REMOVALS = 1_000;

/**
 * Removes the checkpoints of a plan that its retention does not want any more. It decides once, makes sure that what the
 * decision relies on stays, and then removes one after the other, each by a job of its own.
 */
export class Retain implements Operation {
  readonly name = 'retain';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { plan } = context.job.input as RetainInput;
    context.usage.concerns({ plan });
    await context.hold([planLease(plan, 'retain')]);
    const chosen = await context.step('choose', async (call) => this.#choose(context, call));
    context.progress.expect({ items: chosen.removals.length, bytes: 0 });
    await this.#assertProven(context, chosen);
    return { plan, checkpoints: chosen.checkpoints, removed: [], reduced: [], busy: [], more: chosen.more };
  }

  // Once decided, each removal stands for itself: what fails is told, and the others go on.
  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const { removals } = context.result('choose') as Chosen;
    const leftovers = new Leftovers(context.signal);
    const done = { removed: [] as CheckpointId[], reduced: [] as CheckpointId[], busy: [] as CheckpointId[] };
    for (const removal of removals) {
      const { checkpoint, isWhole } = removal;
      await leftovers.attempt(`remove what is no longer wanted of checkpoint ${checkpoint}`, async () => {
        if (!(await isFree(context, checkpoint))) return void done.busy.push(checkpoint);
        await (isWhole ? removeWhole(context, checkpoint) : this.#reduce(context, removal));
        (isWhole ? done.removed : done.reduced).push(checkpoint);
      });
      context.progress.item();
    }
    return leftovers.addTo({ ...result, ...done });
  }

  undo(): Promise<void> {
    return Promise.resolve();
  }

  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async #choose(context: OperationContext, call: CallOptions): Promise<Chosen> {
    const { plan: id, policy, atMost } = context.job.input as RetainInput;
    const { tenant } = context.job;
    const asked = { tenant, plan: id, policy };
    const { decisions } = await previewRetain(this.#services, asked, context.clock.now(), call);
    const previewed = atMost && new Map(atMost.map((one) => [one.checkpoint, one]));
    const wanted = removalsOf(decisions)
      .filter((removal) => previewed === null || isWithin(removal, previewed.get(removal.checkpoint)))
      .toReversed();
    return {
      checkpoints: decisions.length,
      reliedOn: decisions.flatMap(({ checkpoint, kept }) => (isReliedOn(kept) ? [checkpoint] : [])),
      removals: wanted.slice(0, MOST_REMOVALS),
      more: Math.max(0, wanted.length - MOST_REMOVALS),
    };
  }

  // From here until this job ends nobody can remove the ones for which the others go.
  async #assertProven(context: OperationContext, { reliedOn, removals }: Chosen): Promise<void> {
    if (removals.length === 0) return;
    await context.hold(
      reliedOn.map((id) => checkpointLease(id, 'read')),
      'wait',
    );
    const { policy } = context.job.input as RetainInput;
    for (const id of reliedOn) {
      const opened = await context.retry((call) => this.#services.checkpoint(context.job.tenant, id, call));
      const { isWhole, isHeld, copies } = retained(opened, context.clock.now(), policy.proof);
      if (isHeld || (isWhole && Object.values(copies).some(({ isProven }) => isProven))) continue;
      throw new FafnirError(
        'NOT_PROVEN',
        `checkpoint ${id}, for which older ones were to go, no longer counts`,
        {
          hint: 'Nothing was removed. Protect again, or verify an older checkpoint.',
        },
      );
    }
  }

  async #reduce(context: OperationContext, { checkpoint, copies: kinds }: Removal): Promise<void> {
    const opened = await context.retry((call) =>
      this.#services.checkpoint(context.job.tenant, checkpoint, call),
    );
    const { policy } = context.job.input as RetainInput;
    const { copies, isHeld } = retained(opened, context.clock.now(), policy.proof);
    if (isHeld) throw new FafnirError('HELD', `checkpoint ${checkpoint} is held`);
    if (kinds.includes('archive')) assertNotLocked(opened.commit, context.clock.now());
    for (const kind of kinds) {
      const isCovered = copies[kind]?.isCovered.some((other) => !kinds.includes(other)) ?? true;
      if (!isCovered)
        throw new FafnirError('NOT_PROVEN', `no other copy of checkpoint ${checkpoint} is proven any more`);
    }
    for (const copy of copiesOf(opened, kinds)) await removeCopy(context, this.#services, opened, copy);
  }
}

const isReliedOn = (kept: RetentionDecision['kept']): boolean =>
  Object.values(kept).some((reasons) => reasons.includes('least'));

/** Whether a preview allows a removal. */
const isWithin = (removal: Removal, previewed: Removal | undefined): boolean =>
  previewed !== undefined &&
  (previewed.isWhole || !removal.isWhole) &&
  removal.copies.every((kind) => previewed.copies.includes(kind));

async function isFree(context: OperationContext, checkpoint: CheckpointId): Promise<boolean> {
  try {
    await context.hold([checkpointLease(checkpoint, 'remove')], 'refuse');
    return true;
  } catch (error) {
    if (FafnirError.is(error, 'BUSY')) return false;
    throw error;
  }
}

async function removeWhole(context: OperationContext, checkpoint: CheckpointId): Promise<void> {
  const input = { checkpoint, whenBusy: 'refuse' };
  await context.child(joinParts('remove', checkpoint), { operation: 'remove', input }, () => undefined);
}
