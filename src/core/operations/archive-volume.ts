import type { CheckpointId, CopySource, JsonObject, PlanId, SnapshotCopy } from '../contracts/index.ts';
import type { Operation, OperationContext } from '../jobs/operation.ts';
import { archivesOf } from './copies.ts';
import type { OperationServices } from './services.ts';
import { placesOfArchive } from './shared-limits.ts';
import { effectName } from './tokens.ts';

/** What the archiving of a volume is asked to do. */
export type ArchiveVolumeInput = {
  /** The provider that has the snapshot, and the bank that the archive is made in. */
  readonly provider: string;
  /** The plan that it is made for. */
  readonly plan: PlanId;
  /** The checkpoint that it is made for, which may not be there yet. */
  readonly checkpoint: CheckpointId;
  /** What to make the archive of. */
  readonly source: CopySource;
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
    const { array } = source.from?.volume ?? source.volume;
    await context.occupy(placesOfArchive(this.#services.sharedLimits, { provider, array, bank: bank.name }));
    const made = await context.effect('archive', async (call): Promise<ArchiveVolumeResult> => {
      const counted = { ...call, progress: (more: number) => share.advance(more) };
      const from = this.#services.provider(provider, tenant);
      const archives = archivesOf(this.#services, from, tenant, lockedUntil);
      const { copy: archive, ...found } = await archives.archive(
        source,
        effectName(this.#services.installation, context.job, 'archive'),
        counted,
      );
      return { archive, ...found };
    });
    share.finish();
    context.progress.item();
    return made;
  }

  settle(_context: OperationContext, result: JsonObject): Promise<JsonObject> {
    return Promise.resolve(result);
  }

  // Nothing refers to what an archive left behind that no checkpoint lists.
  undo(): Promise<void> {
    return Promise.resolve();
  }

  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }
}
