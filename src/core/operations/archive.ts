import type { ProtectedVolume } from '../archive/artifacts.ts';
import { putAddendum } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { CheckpointId, JsonObject, ResourceKey, SnapshotCopy } from '../contracts/index.ts';
import { errorRecord, FafnirError } from '../errors.ts';
import { describeKey } from '../graph/resource-graph.ts';
import { type Leftover, Leftovers } from '../jobs/leftovers.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { mapSettled } from '../map-settled.ts';
import { bankLease, checkpointLease, planLease } from '../policy/exclusion.ts';
import type { ArchiveVolumeResult, SnapshotSource } from './archive-volume.ts';
import { releaseArrayCopies, releaseSnapshots } from './array-retention.ts';
import { archiveBase, basesOf, type ChangeBases, historyOf } from './change-bases.ts';
import { copyKeyOf, storeOf, subjectOf } from './copies.ts';
import { distrust, distrustedBy, type DistrustedArray } from './distrust.ts';
import { lockOf } from './locks.ts';
import { ARCHIVES_AT_ONCE, archiveVolume } from './protect-copies.ts';
import type { OpenedCheckpoint, OperationServices } from './services.ts';
import { effectName } from './tokens.ts';

/** What an archive job is asked to do. */
export type ArchiveInput = {
  /** Whose snapshots to archive. */
  readonly checkpoint: CheckpointId;
  /** Whether its snapshots go once the archives are proven, whatever was decided when it was made. */
  readonly removeSnapshots: boolean;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What an archive job has made. */
export type ArchiveResult = {
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
  /** Volumes that were archived; those that had an archive are not counted. */
  readonly volumes: number;
  /** Bytes of those volumes. */
  readonly bytes: number;
  /** Arrays that called unchanged what was not, where any did. */
  readonly distrusted?: readonly DistrustedArray[];
  /** What could not be cleared up, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};

/** A volume of the checkpoint. */
type Wanted = { readonly resource: ResourceKey; readonly volume: ProtectedVolume };

/**
 * Archives the snapshots of a checkpoint after its commit. Each archive is an addendum once it is proven, so that what was
 * archived stays whatever happens then; only afterwards does an array copy go.
 */
export class Archive implements Operation {
  readonly name = 'archive';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { checkpoint, removeSnapshots } = context.job.input as ArchiveInput;
    const { plan, provider } = (await this.#open(context)).commit;
    const { bank } = this.#services.provider(provider, context.job.tenant);
    await context.hold([
      checkpointLease(checkpoint, 'read'),
      planLease(plan.id, 'archive'),
      bankLease(bank.name, 'write'),
    ]);
    // Opened anew: it may have changed while this job waited for its turn.
    const opened = await this.#open(context);
    if (opened.state === 'removed') {
      throw new FafnirError('NOT_AVAILABLE', `checkpoint ${checkpoint} was removed`);
    }
    if (removeSnapshots && opened.commit.adopted?.ownership === 'leave') {
      throw new FafnirError(
        'REFUSED_BY_POLICY',
        `the snapshots of checkpoint ${checkpoint} were adopted to be left on their arrays`,
        { hint: 'Archive without removeSnapshots; or remove the checkpoint, and adopt them to take them.' },
      );
    }
    const wanted = opened.artifacts.flatMap(({ resource, volume }) => {
      const isArchived = volume?.copies.some(
        ({ kind, location }) => kind === 'archive' && location === bank.name,
      );
      const isMine = context.intents().includes(additionOf(resource));
      return volume === null || (isArchived && !isMine) ? [] : { resource, volume };
    });
    const bytes = wanted.reduce((sum, { volume }) => sum + volume.volume.size, 0);
    context.progress.expect({ items: wanted.length, bytes });
    context.usage.concerns({ ...subjectOf(opened), logical: bytes });
    await context.reserve({ checkpoints: 0, protected: 0, stored: bytes });
    const bases = await this.#bases(context, opened);
    await mapSettled(wanted, (one) => this.#archive(context, opened, one, bases), {
      concurrency: ARCHIVES_AT_ONCE,
      signal: context.signal,
    });
    context.emit({ type: 'checkpoint.archived', checkpoint, plan: plan.id, tenant: context.job.tenant });
    return {
      checkpoint,
      volumes: wanted.length,
      bytes,
      ...distrustedBy(context),
    } satisfies ArchiveResult;
  }

  async settle(context: OperationContext, result: JsonObject): Promise<JsonObject> {
    const { removeSnapshots } = context.job.input as ArchiveInput;
    const leftovers = new Leftovers(context.signal);
    const opened = await this.#open(context);
    if (removeSnapshots) await releaseSnapshots(context, this.#services, leftovers, opened);
    await releaseArrayCopies(context, this.#services, leftovers, opened);
    return leftovers.addTo(result);
  }

  // What was archived and proven stays: it is no worse a copy for what failed beside it.
  undo(): Promise<void> {
    return Promise.resolve();
  }

  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  #open(context: OperationContext): Promise<OpenedCheckpoint> {
    const { checkpoint } = context.job.input as ArchiveInput;
    return context.retry((call) => this.#services.checkpoint(context.job.tenant, checkpoint, call));
  }

  async #bases(context: OperationContext, { vault, commit }: OpenedCheckpoint): Promise<ChangeBases> {
    const plan = { id: commit.plan.id, provider: commit.provider };
    const base = await context.step('base', async (call) => {
      const { newestFirst } = await historyOf({ vault, plan }, call);
      const own = newestFirst.indexOf(commit.id);
      // Where it is not listed yet, or was adopted, nobody can tell which are older.
      return own < 0 ? null : archiveBase(vault, newestFirst.slice(own + 1), call);
    });
    return basesOf(context, this.#services, base);
  }

  async #archive(
    context: OperationContext,
    opened: OpenedCheckpoint,
    { resource, volume: { volume, copies, background = 'read-back' } }: Wanted,
    bases: ChangeBases,
  ): Promise<void> {
    const from = copies.find(({ kind }) => kind === 'array');
    const name = describeKey(resource);
    // As it was found first: a snapshot that goes meanwhile must not change what a part of this job is asked for.
    const source = await context.step(`source/${name}`, async () => {
      if (from === undefined) throw new FafnirError('NO_SNAPSHOT', `no array has a snapshot of ${name}`);
      const base = bases.get(name);
      return { volume, from, proof: background, ...(base === undefined ? {} : { base }) };
    });
    const { archive, distrusted: how } = await this.#copy(context, opened, name, source);
    if (how !== undefined) {
      const { id: checkpoint, plan, provider } = opened.commit;
      const of = { vault: opened.vault, plan: { id: plan.id, provider } };
      await distrust(context, of, { resource: name, checkpoint, archive, how });
    }
    await context.effect(additionOf(resource), async (call) => {
      const at = new Date(context.clock.now()).toISOString();
      const added = { kind: 'copy-added', job: context.job.id, at, copy: archive } as const;
      await putAddendum(opened.vault, opened.commit.id, added, call);
      return null;
    });
    context.progress.item();
  }

  async #copy(
    context: OperationContext,
    opened: OpenedCheckpoint,
    name: string,
    source: SnapshotSource,
  ): Promise<ArchiveVolumeResult> {
    try {
      const lockedUntil = lockOf(opened.commit);
      const of = { ...subjectOf(opened), ...(lockedUntil !== null && { lockedUntil }) };
      return await archiveVolume(context, of, name, source);
    } catch (error) {
      if (isDamage(error)) await this.#assertSnapshot(context, opened, source.from);
      throw error;
    }
  }

  // A snapshot that is gone is no copy any more, and a checkpoint that counted on it must say so.
  async #assertSnapshot(
    context: OperationContext,
    opened: OpenedCheckpoint,
    snapshot: SnapshotCopy,
  ): Promise<void> {
    const token = effectName(this.#services.installation, context.job, 'look');
    try {
      await context.retry((call) =>
        storeOf(this.#services, opened.commit, snapshot).verify(
          snapshot,
          { level: 'tags', sample: 1 },
          { ...call, token, progress: () => undefined },
        ),
      );
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      const at = new Date(context.clock.now()).toISOString();
      const reason = errorRecord(error).message;
      const lost = { kind: 'copy-lost', job: context.job.id, at, reason, ...copyKeyOf(snapshot) } as const;
      await context.retry((call) => putAddendum(opened.vault, opened.commit.id, lost, call));
      throw new FafnirError('NO_SNAPSHOT', reason, { cause: error });
    }
  }
}

const additionOf = (resource: ResourceKey): string => `add/${describeKey(resource)}`;
