import pMap from 'p-map';
import { type Addendum, putAddendum } from '../archive/checkpoint.ts';
import { getGraph } from '../archive/stored-graph.ts';
import type { CheckpointId, Json, JsonObject, Proof, SnapshotCopy } from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import type { Operation, OperationContext } from '../jobs/operation.ts';
import { copyKeyOf, storeOf } from './copies.ts';
import { isCopyLost } from './restore.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';

const COPIES_AT_ONCE = 2;

/** What a verify job is asked to do. */
export type VerifyInput = {
  /** What to verify. */
  readonly checkpoint: CheckpointId;
};

/** What a verify job found; a job that found a copy lost fails instead. */
export type VerifyResult = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Copies that were verified. */
  readonly copies: number;
  /** Bytes of volumes in copies that were read back whole. */
  readonly bytes: number;
};

type Finding =
  | { readonly proof: Proof; readonly lost: null }
  | { readonly proof: null; readonly lost: string };

/**
 * Reads every copy of a checkpoint and records what that proves. A copy that is gone or damaged is recorded as lost,
 * so that the checkpoint is no longer called available on its strength, and fails the job with `CORRUPT`.
 */
export class Verify implements Operation {
  readonly name = 'verify';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const call = { signal: context.signal };
    const { checkpoint } = context.job.input as VerifyInput;
    const opened = await this.#services.checkpoint(context.job.tenant, checkpoint, call);
    if (opened.state === 'removed')
      throw new FafnirError('NOT_AVAILABLE', `checkpoint ${checkpoint} was removed`);
    await getGraph(opened.bank, opened.commit, opened.commit.graph, call);
    const copies = opened.artifacts.flatMap(({ volume }) => volume?.copies ?? []);
    context.progress.expect({ items: copies.length, bytes: sizeOf(copies) });
    const findings = await pMap(
      copies,
      async (copy) => {
        const finding = await this.#verify(context, opened, copy);
        context.progress.item();
        return finding;
      },
      { concurrency: COPIES_AT_ONCE, signal: context.signal },
    );
    const lost = findings.flatMap((finding) => finding.lost ?? []);
    if (lost.length > 0) {
      throw new FafnirError(
        'CORRUPT',
        `${lost.length} of ${copies.length} copies are lost: ${lost.join('; ')}`,
      );
    }
    const read = copies.filter((_, at) => findings[at]?.proof !== 'stored');
    return { checkpoint, copies: copies.length, bytes: sizeOf(read) } satisfies VerifyResult;
  }

  settle(_context: OperationContext, result: JsonObject): Promise<JsonObject> {
    return Promise.resolve(result);
  }

  // What was found out stays true, whatever became of the job.
  undo(): Promise<void> {
    return Promise.resolve();
  }

  async #verify(context: OperationContext, opened: OpenedCheckpoint, copy: SnapshotCopy): Promise<Finding> {
    const share = context.progress.share(copy.volume.size);
    const { array, id } = copy.volume;
    const finding = await context.step(`verify/${copy.kind}/${copy.location}/${array}/${id}`, async () => {
      const call = { signal: context.signal, progress: (bytes: number) => share.advance(bytes) };
      const found = await storeOf(this.#services, opened.commit, copy)
        .verify(copy, call)
        .then((proof): Finding => ({ proof, lost: null }))
        .catch((error: unknown): Finding => {
          if (!isCopyLost(error)) throw error;
          return { proof: null, lost: errorRecord(error).message };
        });
      const at = new Date(context.clock.now()).toISOString();
      const common = { job: context.job.id, at, ...copyKeyOf(copy) };
      const addendum: Addendum =
        found.lost === null
          ? { kind: 'copy-proven', proof: found.proof, ...common }
          : { kind: 'copy-lost', reason: found.lost.slice(0, 1024), ...common };
      await putAddendum(opened.bank, opened.commit, addendum, call);
      return found satisfies Json;
    });
    share.finish();
    return finding;
  }
}

const sizeOf = (copies: readonly SnapshotCopy[]): number =>
  copies.reduce((sum, { volume }) => sum + volume.size, 0);
