import { type Checkpoint, listCheckpoints, type OpenCheckpoint } from '../archive/catalog.ts';
import { isDamage } from '../archive/records.ts';
import type { CheckpointId, PlanId, TenantId, VolumeRef, VolumeSource } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { ResourceGraph } from '../graph/resource-graph.ts';
import { parseCheckpointId, parsePlanId } from '../identity.ts';
import { type ApplicationChanges, openChanges } from '../operations/application-changes.ts';
import { isUnreachable, storeOf } from '../operations/copies.ts';
import { openGraph } from '../operations/open-graph.ts';
import { type Cancellable, callOf, type SessionServices } from './session-services.ts';

const PIECE = 4 * 1024 * 1024;

/** A tenant's checkpoints, read from the banks. */
export class Checkpoints {
  readonly #services: SessionServices;
  readonly #tenant: TenantId;

  /** Made by the session. */
  constructor(services: SessionServices, tenant: TenantId) {
    this.#services = services;
    this.#tenant = tenant;
  }

  /** The checkpoints in every bank of the engine, bank by bank in the order they were made. */
  async *list(options: { readonly plan?: PlanId } & Cancellable = {}): AsyncGenerator<Checkpoint> {
    const filter = options.plan === undefined ? {} : { plan: parsePlanId(options.plan) };
    for (const vault of this.#services.operations.vaults(this.#tenant)) {
      yield* listCheckpoints(vault, filter, callOf(options));
    }
  }

  /** A checkpoint with its artifacts; `NOT_FOUND` where no bank has it, `CORRUPT` where it is damaged. */
  async get(id: CheckpointId, options?: Cancellable): Promise<OpenCheckpoint> {
    const { operations } = this.#services;
    const { vault: _, ...opened } = await operations.checkpoint(
      this.#tenant,
      parseCheckpointId(id),
      callOf(options),
    );
    return opened;
  }

  /**
   * The application as it was when the checkpoint was made; `NOT_FOUND` where no bank has the checkpoint or the graph
   * is gone, `CORRUPT` where it is damaged.
   */
  async graph(id: CheckpointId, options?: Cancellable): Promise<ResourceGraph> {
    const call = callOf(options);
    const { operations } = this.#services;
    const { vault, commit } = await operations.checkpoint(this.#tenant, parseCheckpointId(id), call);
    return openGraph(vault, commit.id, commit.graph, call);
  }

  /**
   * What joined and what left the application since an earlier checkpoint of the plan; undefined where the checkpoint was
   * made by a version that did not look. Rejects as {@link Checkpoints.graph}.
   */
  async changes(id: CheckpointId, options?: Cancellable): Promise<ApplicationChanges | undefined> {
    const call = callOf(options);
    const { operations } = this.#services;
    const { vault, commit } = await operations.checkpoint(this.#tenant, parseCheckpointId(id), call);
    return openChanges(vault, commit, call);
  }

  /**
   * Opens a volume of a checkpoint to read any part of it, from the first of its copies that can be opened. The caller
   * closes it. `NOT_FOUND` where the checkpoint has no such volume, `NOT_AVAILABLE` where it was removed or this engine
   * reaches no copy, `CORRUPT` where what is read is damaged.
   */
  async open(
    id: CheckpointId,
    volume: Pick<VolumeRef, 'array' | 'id'>,
    options?: Cancellable,
  ): Promise<VolumeSource> {
    const call = callOf(options);
    const { operations } = this.#services;
    const opened = await operations.checkpoint(this.#tenant, parseCheckpointId(id), call);
    const found = opened.artifacts.find(
      (artifact) => artifact.volume?.volume.array === volume.array && artifact.volume.volume.id === volume.id,
    )?.volume;
    if (found === undefined || found === null) {
      throw new FafnirError(
        'NOT_FOUND',
        `checkpoint ${id} has no volume ${volume.id} of array ${volume.array}`,
      );
    }
    let refused: unknown;
    for (const copy of opened.state === 'removed' ? [] : found.copies) {
      try {
        return await storeOf(operations, opened.commit, copy).open(copy, call);
      } catch (error) {
        const isPassed = isUnreachable(error) || isDamage(error) || FafnirError.is(error, 'UNSUPPORTED');
        if (!isPassed) throw error;
        refused ??= error;
      }
    }
    throw new FafnirError('NOT_AVAILABLE', `no copy of volume ${volume.id} can be opened`, {
      cause: refused,
    });
  }

  /**
   * All bytes of a volume of a checkpoint, from the first to the last, holes as zeros, in pieces of at most 4 MiB that are
   * the caller's. Refused as {@link Checkpoints.open} says; ends only when everything was there.
   */
  async *export(
    id: CheckpointId,
    volume: Pick<VolumeRef, 'array' | 'id'>,
    options?: Cancellable,
  ): AsyncGenerator<Uint8Array> {
    const call = callOf(options);
    call.signal.throwIfAborted();
    await using source = await this.open(id, volume, options);
    for await (const { offset, length, kind } of source.extents(call)) {
      for (let done = 0; done < length; done += PIECE) {
        const bytes = new Uint8Array(Math.min(PIECE, length - done));
        if (kind !== 'zero') await source.readInto(offset + done, bytes, call);
        yield bytes;
        call.signal.throwIfAborted();
      }
    }
  }
}
