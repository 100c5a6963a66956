import pMap from 'p-map';
import { type Addendum, putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type {
  CheckpointId,
  CopyCall,
  JsonObject,
  SnapshotCopy,
  Verification,
  VerifyRequest,
} from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease } from '../policy/exclusion.ts';
import { copyKeyOf, isUnreachable, storeOf } from './copies.ts';
import { openGraph } from './open-graph.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';
import { effectName } from './tokens.ts';

const COPIES_AT_ONCE = 2;

/** What a verify job is asked to do. */
export type VerifyInput = {
  /** What to verify. */
  readonly checkpoint: CheckpointId;
  /** How every copy is read. */
  readonly level: VerifyRequest['level'];
  /** The share of each archive that is read, above 0 and up to 1. */
  readonly sample: number;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a verify job found; a job that found a copy lost fails instead. */
export type VerifyResult = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Copies that were found good. */
  readonly copies: number;
  /** Copies that this engine cannot reach, having neither their array nor their bank. */
  readonly unreachable: number;
  /** Bytes of volumes in copies that were read back whole. */
  readonly bytes: number;
  /**
   * The least of all archives' probabilities of having found damage, if one in a hundred of its objects were damaged; 0
   * where no archive was read.
   */
  readonly confidence: number;
};

type Finding =
  | ({ readonly found: 'proven' } & Verification)
  | { readonly found: 'lost'; readonly reason: string }
  | { readonly found: 'unreachable' };

/**
 * Reads every copy of a checkpoint and records what that proves. A copy that is gone or damaged is recorded as lost,
 * so that the checkpoint is no longer called available on its strength, and fails the job with `CORRUPT`; only the
 * loss of a snapshot that was to go, at once or with the next checkpoint, and so was promised to nobody, does not.
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
    await context.hold([checkpointLease(checkpoint, 'read')]);
    const opened = await context.retry(() => this.#services.checkpoint(context.job.tenant, checkpoint, call));
    if (opened.state === 'removed')
      throw new FafnirError('NOT_AVAILABLE', `checkpoint ${checkpoint} was removed`);
    await context.retry(() => openGraph(opened.vault, opened.commit.id, opened.commit.graph, call));
    const volumes = opened.artifacts.flatMap(({ volume }) => volume ?? []);
    const copies = volumes.flatMap((volume) => volume.copies.map((copy) => ({ copy, volume })));
    context.progress.expect({ items: copies.length, bytes: sizeOf(copies) });
    const findings = await pMap(
      copies,
      async ({ copy }) => {
        const finding = await this.#verify(context, opened, copy);
        context.progress.item();
        return finding;
      },
      { concurrency: COPIES_AT_ONCE, signal: context.signal },
    );
    const promised = copies.filter(
      ({ copy, volume }) => copy.kind !== 'array' || volume.arrayCopy === 'kept',
    );
    const lost = promised.flatMap((one) => {
      const finding = findings[copies.indexOf(one)];
      return finding?.found === 'lost' ? [finding.reason] : [];
    });
    if (lost.length > 0) {
      throw new FafnirError(
        'CORRUPT',
        `${lost.length} of ${promised.length} copies are lost: ${lost.join('; ')}`,
      );
    }
    const good = copies.filter((_, at) => findings[at]?.found === 'proven');
    const unproven = volumes.find((volume) => !good.some((one) => one.volume === volume));
    if (unproven !== undefined) {
      throw new FafnirError(
        'NOT_AVAILABLE',
        `no copy of volume ${unproven.volume.id} can be reached from here`,
      );
    }
    const read = copies.filter((_, at) => {
      const finding = findings[at];
      return finding?.found === 'proven' && finding.proof !== 'stored';
    });
    const unreachable = findings.filter(({ found }) => found === 'unreachable').length;
    const confidences = copies.flatMap(({ copy }, at) => {
      const finding = findings[at];
      return finding?.found === 'proven' && copy.kind === 'archive' ? [finding.confidence] : [];
    });
    const confidence = confidences.length === 0 ? 0 : Math.min(...confidences);
    return {
      checkpoint,
      copies: good.length,
      unreachable,
      bytes: sizeOf(read),
      confidence,
    } satisfies VerifyResult;
  }

  settle(_context: OperationContext, result: JsonObject): Promise<JsonObject> {
    return Promise.resolve(result);
  }

  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  // What was found out stays true, whatever became of the job.
  undo(): Promise<void> {
    return Promise.resolve();
  }

  async #verify(context: OperationContext, opened: OpenedCheckpoint, copy: SnapshotCopy): Promise<Finding> {
    const share = context.progress.share(copy.volume.size);
    const { array, id } = copy.volume;
    const step = joinParts('verify', copy.kind, copy.location, array, id);
    const { level, sample } = context.job.input as VerifyInput;
    const request = { level, sample, token: effectName(context.job, step) };
    const finding = await context.step(step, async () => {
      const call = { signal: context.signal, progress: (bytes: number) => share.advance(bytes) };
      const finding = await this.#examine(opened, copy, request, call);
      if (finding.found === 'unreachable') return finding;
      const at = new Date(context.clock.now()).toISOString();
      const common = { job: context.job.id, at, ...copyKeyOf(copy) };
      const addendum: Addendum =
        finding.found === 'proven'
          ? { kind: 'copy-proven', proof: finding.proof, ...common }
          : { kind: 'copy-lost', reason: finding.reason, ...common };
      await putAddendum(opened.vault, opened.commit.id, addendum, call);
      return finding;
    });
    share.finish();
    return finding;
  }

  async #examine(
    opened: OpenedCheckpoint,
    copy: SnapshotCopy,
    request: VerifyRequest,
    call: CopyCall,
  ): Promise<Finding> {
    try {
      const store = storeOf(this.#services, opened.commit, copy);
      return { found: 'proven', ...(await store.verify(copy, request, call)) };
    } catch (error) {
      if (isUnreachable(error)) return { found: 'unreachable' };
      if (!isDamage(error)) throw error;
      return { found: 'lost', reason: errorRecord(error).message.slice(0, 1024) };
    }
  }
}

const sizeOf = (copies: readonly { readonly copy: SnapshotCopy }[]): number =>
  copies.reduce((sum, { copy }) => sum + copy.volume.size, 0);
