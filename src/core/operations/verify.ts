import pMap from 'p-map';
import type { OpenCheckpoint } from '../archive/catalog.ts';
import { type Addendum, putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type {
  CallOptions,
  CheckpointId,
  JobRecord,
  JsonObject,
  ReadCall,
  SnapshotCopy,
  Verification,
  VerifyRequest,
  VolumeRef,
} from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { checkpointLease } from '../policy/exclusion.ts';
import { copyKeyOf, isUnreachable, storeOf, subjectOf } from './copies.ts';
import { openGraph } from './open-graph.ts';
import { clearDeadReadings, clearReadings, intendReading, removeReadings } from './readings.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';
import { placesOfRestore } from './shared-limits.ts';

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
  /**
   * Copies that are good although objects of theirs were found damaged: all that they need can still be read, there or
   * elsewhere. Damage that was recorded before need not be met again.
   */
  readonly damaged: readonly {
    /** The volume. */
    readonly volume: Pick<VolumeRef, 'array' | 'id'>;
    /** Which copy of it. */
    readonly copy: Pick<SnapshotCopy, 'kind' | 'location'>;
    /** How many objects; where copies share one, it is counted for each. */
    readonly objects: number;
  }[];
  /** What could not be cleared up afterwards, if anything; the verification stands. */
  readonly leftovers?: readonly Leftover[];
};

type Lost = OpenCheckpoint['lost'][number];

type Finding =
  | ({ readonly found: 'proven' } & Verification)
  | { readonly found: 'lost'; readonly reason: string }
  | { readonly found: 'unreachable' };

/**
 * Reads every copy of a checkpoint and records what that proves. A copy that is gone or damaged is recorded as lost,
 * so that the checkpoint is no longer called available on its strength, and fails the job with `CORRUPT`; only the
 * loss of a snapshot that was to go, at once or with the next checkpoint, and so was promised to nobody, does not.
 * Copies that were recorded as lost are read again where they are read whole and `deep`, for nothing less can show that
 * they are not: those that are good count again.
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
    const logical = volumes.reduce((sum, { volume }) => sum + volume.size, 0);
    context.usage.concerns({ ...subjectOf(opened), logical });
    const copies = copiesToRead(opened, context.job.input as VerifyInput);
    const onArrays = copies.flatMap(({ copy }) => (copy.kind === 'array' ? copy.location : []));
    const places = {
      provider: opened.commit.provider,
      arrays: new Set(onArrays),
      bank: opened.vault.bank.name,
    };
    await context.occupy(placesOfRestore(this.#services.sharedLimits, places));
    context.progress.expect({ items: copies.length, bytes: sizeOf(copies) });
    const examined = await pMap(
      copies,
      async (lost) => {
        const finding = await this.#verify(context, opened, lost);
        context.progress.item();
        return { copy: lost.copy, finding };
      },
      { concurrency: COPIES_AT_ONCE, signal: context.signal },
    );
    const fates = new Map(volumes.map(({ volume, arrayCopy }) => [volumeText(volume), arrayCopy]));
    const promised = examined.filter(
      ({ copy }) => copy.kind !== 'array' || fates.get(volumeText(copy.volume)) === 'kept',
    );
    const reasons = promised.flatMap(({ finding }) => (finding.found === 'lost' ? finding.reason : []));
    if (reasons.length > 0) {
      throw new FafnirError(
        'CORRUPT',
        `${reasons.length} of ${promised.length} copies are lost: ${reasons.join('; ')}`,
      );
    }
    const good = examined.flatMap(({ copy, finding }) =>
      finding.found === 'proven' ? { copy, ...finding } : [],
    );
    const proven = new Set(good.map(({ copy }) => volumeText(copy.volume)));
    const unproven = volumes.find(({ volume }) => !proven.has(volumeText(volume)));
    if (unproven !== undefined) {
      throw new FafnirError(
        'NOT_AVAILABLE',
        `no copy of volume ${unproven.volume.id} is left that can be reached from here`,
      );
    }
    const archives = good.filter(({ copy }) => copy.kind === 'archive');
    return {
      checkpoint,
      copies: good.length,
      unreachable: examined.filter(({ finding }) => finding.found === 'unreachable').length,
      bytes: sizeOf(good.filter(({ proof }) => proof !== 'stored')),
      confidence: archives.length === 0 ? 0 : Math.min(...archives.map(({ confidence }) => confidence)),
      damaged: good.flatMap(({ copy, damaged: objects = 0 }) =>
        objects === 0 ? [] : { ...copyKeyOf(copy), objects },
      ),
    } satisfies VerifyResult;
  }

  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const leftovers = new Leftovers(context.signal);
    await clearDeadReadings(context, this.#services, leftovers);
    return leftovers.addTo(result);
  }

  removeLate(ended: JobRecord, intents: readonly string[], call: CallOptions): Promise<readonly string[]> {
    return removeReadings(this.#services, ended, intents, call);
  }

  // What was found out stays true, whatever became of the job.
  async undo(context: OperationContext): Promise<void> {
    const leftovers = new Leftovers(context.signal);
    await clearReadings(context, this.#services, leftovers);
    leftovers.assertNone();
  }

  async #verify(
    context: OperationContext,
    opened: OpenedCheckpoint,
    { copy, losses }: Lost,
  ): Promise<Finding> {
    const share = context.progress.share(copy.volume.size);
    const parts = ['verify', copy.kind, copy.location, copy.volume.array, copy.volume.id];
    const step = joinParts(...parts);
    const { level, sample } = context.job.input as VerifyInput;
    // What an earlier attempt proved before a loss was recorded tells nothing against that.
    const reading = joinParts(...parts, ...losses);
    const token = await intendReading(context, this.#services, opened.commit, copy, reading);
    const finding = await context.step(step, async () => {
      const progress = (bytes: number): void => share.advance(bytes);
      const call = { signal: context.signal, progress, token };
      const finding = await this.#examine(opened, copy, { level, sample }, call);
      if (finding.found === 'unreachable') return finding;
      const at = new Date(context.clock.now()).toISOString();
      const common = { job: context.job.id, at, ...copyKeyOf(copy) };
      const supersedes = losses.length === 0 ? {} : { supersedes: losses };
      const addendum: Addendum =
        finding.found === 'proven'
          ? { kind: 'copy-proven', proof: finding.proof, ...supersedes, ...common }
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
    call: ReadCall,
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

/** Each copy with the losses that a proof of it would supersede. */
function copiesToRead(
  { artifacts, lost }: Pick<OpenCheckpoint, 'artifacts' | 'lost'>,
  { level, sample }: VerifyInput,
): readonly Lost[] {
  const counted = artifacts.flatMap(({ volume }) => volume?.copies ?? []);
  const left = counted.map((copy) => ({ copy, losses: [] }));
  // What its source told against a copy stays true however well the copy can be read.
  return level === 'deep' && sample === 1 ? [...left, ...lost.filter(({ bySource }) => !bySource)] : left;
}

const volumeText = ({ array, id }: Pick<VolumeRef, 'array' | 'id'>): string => joinParts(array, id);

const sizeOf = (copies: readonly { readonly copy: SnapshotCopy }[]): number =>
  copies.reduce((sum, { copy }) => sum + copy.volume.size, 0);
