import { putAddendum } from '../archive/checkpoint.ts';
import type { CallOptions, ErrorRecord, JobRecord, JsonObject } from '../contracts/index.ts';
import { withMore } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext } from '../jobs/operation.ts';
import { checkpointLease } from '../policy/exclusion.ts';
import { openGraph } from './open-graph.ts';
import { overwritesLeft, undoOverwrites } from './overwriting.ts';
import { restoreExisting } from './restore-existing.ts';
import { subjectOf } from './copies.ts';
import { copiesIn } from './restore-data.ts';
import { clearDeadReadings, clearReadings, removeReadings } from './readings.ts';
import { placesOfRestore } from './shared-limits.ts';
import type { RestoreInput } from './restore-input.ts';
import { creationsAmong, removeCreated, restoreNew } from './restore-new.ts';
import type { StandIn } from './restore-plan.ts';
import { FILL, type RestoredVolume } from './restore-ways.ts';
import type { OperationServices } from './services.ts';

// How many resources a failure names.
const NAMED = 5;

/**
 * Makes an application again from a checkpoint: create, fill, connect; or writes volumes that exist. One that fails
 * leaves everything as it was before, unless told to keep what it did.
 */
export class Restore implements Operation {
  readonly name = 'restore';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const call = { signal: context.signal };
    const { checkpoint, to, into, location } = context.job.input as RestoreInput;
    const { tenant } = context.job;
    await context.hold([checkpointLease(checkpoint, 'read')]);
    const destination = this.#services.provider(to, tenant);
    const found = await context.retry(() => this.#services.checkpoint(tenant, checkpoint, call));
    const opened = copiesIn(found, location);
    context.usage.concerns({ ...subjectOf(found), provider: to });
    // Which of its arrays will be written to shows when the volumes are made, and places are asked for once.
    const places = { provider: to, arrays: destination.arrays.keys(), bank: opened.vault.bank.name };
    await context.occupy(placesOfRestore(this.#services.sharedLimits, places));
    const graph = await context.retry(() =>
      openGraph(opened.vault, opened.commit.id, opened.commit.graph, call),
    );
    try {
      const restore = into === 'existing' ? restoreExisting : restoreNew;
      return await restore(context, this.#services, { opened, graph, destination });
    } catch (error) {
      const left = context.signal.aborted ? [] : whatStays(context);
      throw left.length === 0 ? error : withMore(error, left);
    }
  }

  // A restore that was read back is the best proof there is of the copy it was made from.
  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const call = { signal: context.signal };
    const leftovers = new Leftovers(context.signal);
    const { checkpoint } = context.job.input as RestoreInput;
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    for (const [step, used] of context.results(FILL)) {
      await leftovers.attempt(`record the proof that ${step} gave`, async () => {
        const at = new Date(context.clock.now()).toISOString();
        const { volume, copy } = used as RestoredVolume;
        const proof = { proof: 'restored', job: context.job.id, at } as const;
        await putAddendum(
          opened.vault,
          opened.commit.id,
          { kind: 'copy-proven', ...proof, volume, copy },
          call,
        );
      });
    }
    await clearDeadReadings(context, this.#services, leftovers);
    return leftovers.addTo(result);
  }

  async undo(context: OperationContext, why: ErrorRecord): Promise<void> {
    const { onFailure } = context.job.input as RestoreInput;
    const isKept = onFailure === 'keep' && why.code !== 'CANCELLED';
    // Whatever cannot be removed, such as what others use by now, all else is to be as it was.
    const leftovers = new Leftovers(context.signal);
    for (const intent of creationsAmong(context.intents())) {
      // What may or may not be there, and under which id, is nothing to keep.
      if (isKept && context.result(intent) !== undefined) continue;
      await leftovers.attempt(`remove what ${intent} made`, async () => {
        await context.effect(`undo/${intent}`, async (call) => {
          await removeCreated(this.#services, context.job, intent, call);
          return null;
        });
      });
    }
    if (!isKept) {
      await leftovers.attempt('undo what was overwritten', () => undoOverwrites(context, this.#services));
    }
    await clearReadings(context, this.#services, leftovers);
    leftovers.assertNone();
  }

  // A creation that comes late finds what a restore that succeeded, or was to keep it, has made.
  async removeLate(
    ended: JobRecord,
    intents: readonly string[],
    call: CallOptions,
  ): Promise<readonly string[]> {
    const removed: string[] = [];
    const leftovers = new Leftovers(call.signal);
    await leftovers.attempt('remove what was made to be read', async () => {
      removed.push(...(await removeReadings(this.#services, ended, intents, call)));
    });
    const { onFailure } = ended.input as RestoreInput;
    const isKept = onFailure === 'keep' && ended.state === 'failed';
    const all = new Set(intents);
    for (const intent of ended.state === 'succeeded' ? [] : creationsAmong(intents)) {
      if (isKept && !all.has(`undo/${intent}`)) continue;
      await leftovers.attempt(`remove what ${intent} made`, () =>
        removeCreated(this.#services, ended, intent, call),
      );
    }
    leftovers.assertNone();
    return removed;
  }
}

/** What a failure leaves behind, for people. */
function whatStays(context: OperationContext): readonly string[] {
  const { onFailure } = context.job.input as RestoreInput;
  const made = [...context.results('create/').values()].map((one) => describeKey((one as StandIn).to));
  return [
    ...(onFailure === 'keep' && made.length > 0 ? [`kept as far as it was made: ${named(made)}`] : []),
    ...overwritesLeft(context),
  ];
}

function named(names: readonly string[]): string {
  const others = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return names.slice(0, NAMED).join(', ') + others;
}
