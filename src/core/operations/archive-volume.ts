import type {
  CallOptions,
  CheckpointId,
  CopySource,
  JobRecord,
  JsonObject,
  PlanId,
  SnapshotCopy,
} from '../contracts/index.ts';
import { Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext } from '../jobs/operation.ts';
import { archivesOf } from './copies.ts';
import { clearReadings, intendReading, removeReadings } from './readings.ts';
import type { OperationServices } from './services.ts';
import { placesOfArchive } from './shared-limits.ts';

/** A source that is a snapshot. */
export type SnapshotSource = CopySource & { readonly from: SnapshotCopy };

/** What the archiving of a volume is asked to do. */
export type ArchiveVolumeInput = {
  /** The provider that has the snapshot, and the bank that the archive is made in. */
  readonly provider: string;
  /** The plan that it is made for. */
  readonly plan: PlanId;
  /** The checkpoint that it is made for, which may not be there yet. */
  readonly checkpoint: CheckpointId;
  /** What to make the archive of. */
  readonly source: SnapshotSource;
  /** Until when it is locked, in milliseconds since 1970 UTC, where it is. */
  readonly lockedUntil?: number;
};

/** What the archiving of a volume has made. */
export type ArchiveVolumeResult = {
  /** The copy, with the proof that was reached. */
  readonly archive: SnapshotCopy;
  /** Where the array was found to call unchanged what was not: how it was found out. */
  readonly distrusted?: string;
};

/** Makes one archive from one snapshot: a part of another job, so that many hosts can move data at once. */
export class ArchiveVolume implements Operation {
  readonly name = 'archive-volume';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { source, lockedUntil = null, ...subject } = context.job.input as ArchiveVolumeInput;
    const { provider } = subject;
    const { tenant } = context.job;
    context.usage.concerns(subject);
    const bytes = source.volume.size;
    context.progress.expect({ items: 1, bytes });
    const share = context.progress.share(bytes);
    const { bank } = this.#services.provider(provider, tenant);
    const { array } = source.from.volume;
    await context.occupy(placesOfArchive(this.#services.sharedLimits, { provider, array, bank: bank.name }));
    const token = await this.#intend(context);
    const made = await context.effect('archive', async (call): Promise<ArchiveVolumeResult> => {
      const counted = { ...call, progress: (more: number) => share.advance(more) };
      const from = this.#services.provider(provider, tenant);
      const archives = archivesOf(this.#services, from, tenant, lockedUntil);
      const { copy: archive, ...found } = await archives.archive(source, token, counted);
      return { archive, ...found };
    });
    share.finish();
    context.progress.item();
    return made;
  }

  // What a dead worker had made to be read went when this one opened the snapshot under the same token.
  settle(_context: OperationContext, result: JsonObject): Promise<JsonObject> {
    return Promise.resolve(result);
  }

  // Nothing refers to what an archive left in the bank that no checkpoint lists.
  async undo(context: OperationContext): Promise<void> {
    const leftovers = new Leftovers(context.signal);
    await clearReadings(context, this.#services, leftovers);
    leftovers.assertNone();
  }

  removeLate(ended: JobRecord, intents: readonly string[], call: CallOptions): Promise<readonly string[]> {
    return removeReadings(this.#services, ended, intents, call);
  }

  /** Resolves with what names the archive, and the reading of the snapshot. */
  #intend(context: OperationContext): Promise<string> {
    const { source, provider } = context.job.input as ArchiveVolumeInput;
    return intendReading(context, this.#services, { provider }, source.from, 'archive');
  }
}
