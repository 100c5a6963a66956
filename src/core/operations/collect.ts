import { getArtifacts } from '../archive/artifacts.ts';
import { listCheckpoints, standingsIn, withAdded } from '../archive/catalog.ts';
import { getAddenda } from '../archive/checkpoint.ts';
import { isDamage } from '../archive/records.ts';
import type { Vault } from '../archive/vault.ts';
import { collect, type LockedGarbage } from '../archive/volume/collect.ts';
import { getManifest, type StoredManifest } from '../archive/volume/manifest.ts';
import type { CallOptions, CheckpointId, JsonObject } from '../contracts/index.ts';
import { errorOf, errorRecord, FafnirError } from '../errors.ts';
import type { Operation, OperationContext, WhenBusy } from '../jobs/operation.ts';
import { bankLease } from '../policy/exclusion.ts';
import { referenceOf } from './archive-copies.ts';
import type { OperationServices } from './services.ts';
import { uncounted } from './uncounted.ts';

/** What a collect job is asked to do. */
export type CollectInput = {
  /** The bank's name. */
  readonly bank: string;
  /** Only says what would go. */
  readonly preview: boolean;
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a collect job has removed, or would remove. */
export type CollectResult = {
  /** The bank's name. */
  readonly bank: string;
  /** Archives that belonged to no checkpoint. */
  readonly archives: number;
  /** Packs of which no archive needs anything. */
  readonly packs: number;
  /** Bytes of those packs: what the bank gives back. */
  readonly bytes: number;
  /**
   * Bytes that the tenant has in the bank beyond what usage records tell of, negative where it has less: of workers that died.
   * This job's record accounts for them. Null where nobody looked: for a preview, or because other jobs of the tenant were at
   * work, whose records are still to come.
   */
  readonly corrected: number | null;
  /** What nobody needs and locks of the bank keep, where there is any: a later collection removes it. */
  readonly locked?: LockedGarbage;
};

/**
 * Gives back the space of what no checkpoint of the tenant needs any more. Nobody writes archives of the tenant in this
 * bank meanwhile. Refused where a checkpoint cannot be read, for nobody knows what it needs.
 */
export class Collect implements Operation {
  readonly name = 'collect';
  readonly version = 1;
  readonly #services: OperationServices;

  constructor(services: OperationServices) {
    this.#services = services;
  }

  async run(context: OperationContext): Promise<JsonObject> {
    const { bank, preview } = context.job.input as CollectInput;
    const vault = this.#services.vault(bank, context.job.tenant);
    await context.hold([bankLease(bank, 'collect')]);
    const call = { signal: context.signal };
    // Nobody commits from now on; what was committed before may still have to come into lists.
    await this.#services.clock.sleep(vault.bank.capabilities.listingDelay, call);
    const { threads } = this.#services.archiving;
    const { manifests, packs, bytes, locked } = await context.retry(async () =>
      collect({ vault, threads, live: await liveArchives(vault, call), preview }, call),
    );
    const found = preview ? null : await uncounted(context, this.#services, vault);
    if (found !== null) {
      const { checkpoints, protected: size } = found;
      context.usage.correct(bank, found.stored);
      context.usage.concerns({ checkpoints: { bank, checkpoints, protected: size } });
    }
    const corrected = found?.stored ?? null;
    const kept = locked.objects > 0 ? { locked } : {};
    return { bank, archives: manifests, packs, bytes, corrected, ...kept } satisfies CollectResult;
  }

  settle(_context: OperationContext, result: JsonObject): Promise<JsonObject> {
    return Promise.resolve(result);
  }

  // What it removed was garbage.
  undo(): Promise<void> {
    return Promise.resolve();
  }

  removeLate(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }
}

/** Archives that a checkpoint counts on, or that were lost to it and may still hold something. */
async function liveArchives(vault: Vault, call: CallOptions): Promise<readonly StoredManifest[]> {
  const live: StoredManifest[] = [];
  for await (const checkpoint of listCheckpoints(vault, {}, call)) {
    if (checkpoint.state === 'removed') continue;
    if (!('artifacts' in checkpoint)) throw unreadable(checkpoint.id, errorOf(checkpoint.error));
    const addenda = await getAddenda(vault, checkpoint.id, call);
    const standing = standingsIn(addenda);
    try {
      const { artifacts } = await getArtifacts(vault, checkpoint.id, checkpoint.artifacts, call);
      for (const copy of withAdded(artifacts, addenda).flatMap(({ volume }) => volume?.copies ?? [])) {
        const { isRemoved, losses } = standing(copy);
        if (copy.kind !== 'archive' || copy.location !== vault.bank.name || isRemoved) continue;
        const manifest = await getManifest(vault, referenceOf(copy), call).catch((error: unknown) => {
          if (!isDamage(error) || losses.length === 0) throw error;
        });
        if (manifest !== undefined) live.push(manifest);
      }
    } catch (error) {
      throw isDamage(error) ? unreadable(checkpoint.id, error) : error;
    }
  }
  return live;
}

const unreadable = (id: CheckpointId, cause: unknown): FafnirError =>
  new FafnirError('CORRUPT', `nobody knows what checkpoint ${id} needs: ${errorRecord(cause).message}`, {
    cause,
    hint: 'Remove the checkpoint, or repair its objects in the bank.',
  });
