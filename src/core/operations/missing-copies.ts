import { openCheckpoint } from '../archive/catalog.ts';
import type { Commit } from '../archive/checkpoint.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  ArraySnapshot,
  CallOptions,
  CheckpointId,
  Clock,
  SnapshotCopy,
  StorageArray,
  TenantId,
} from '../contracts/index.ts';
import { type Listed, Lister } from '../listed.ts';
import { isSameSnapshot, snapshotNameOf } from './array-copies.ts';
import type { SnapshotKey } from './array-census.ts';
import { arrayCopiesOf } from './copies.ts';

/** A copy that a checkpoint counts on and that is not on its array. */
export type MissingCopy = SnapshotKey & {
  /** Whose checkpoint. */
  readonly tenant: TenantId;
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
};

type Suspect = { readonly vault: Vault; readonly commit: Commit; readonly copy: SnapshotCopy };

const MOST_SUSPECTS = 1_000;
// To look for a name an array may have to look through all it has: for more than these it is asked for the whole list.
const MOST_FINDS = 16;

/** Copies that an array did not list, until it is known whether they are missing. */
export class MissingCopies {
  readonly #arrays: ReadonlyMap<string, StorageArray>;
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #missing: ReadonlyMap<string, Lister<MissingCopy>>;
  #suspects: Suspect[] = [];

  constructor(arrays: ReadonlyMap<string, StorageArray>, clock: Pick<Clock, 'sleep'>) {
    this.#arrays = arrays;
    this.#clock = clock;
    this.#missing = new Map(Array.from(arrays.keys(), (name) => [name, new Lister()]));
  }

  /** Adds a copy that a checkpoint counted on. */
  async suspect(suspect: Suspect, call: CallOptions): Promise<void> {
    this.#suspects.push(suspect);
    if (this.#suspects.length >= MOST_SUSPECTS) await this.confirm(call);
  }

  /**
   * Finds out about all suspects: one may have been made since the array was listed, or been given up on purpose. A
   * copy is given up before it goes, so what is gone and then still counted on is missing.
   */
  async confirm(call: CallOptions): Promise<void> {
    const gone: Suspect[] = [];
    for (const [location, suspects] of Map.groupBy(this.#suspects, ({ copy }) => copy.location))
      gone.push(...(await this.#goneFrom(this.#arrays.get(location), suspects, call)));
    this.#suspects = [];
    if (gone.length === 0) return;
    await this.#clock.sleep(Math.max(...gone.map(({ vault }) => vault.bank.capabilities.listingDelay)), call);
    for (const [{ id, tenant }, suspects] of Map.groupBy(gone, ({ commit }) => commit)) {
      const counted = await this.#countedOn(suspects, call);
      for (const { copy } of suspects) {
        const [name, volume] = [snapshotNameOf(copy), copy.volume.id];
        if (counted.some((one) => snapshotNameOf(one) === name && one.volume.id === volume))
          this.#missing.get(copy.location)?.add({ tenant, checkpoint: id, name, volume });
      }
    }
  }

  /** What is missing on an array. */
  on(array: string): Listed<MissingCopy> {
    return this.#missing.get(array)?.list() ?? { count: 0, first: [] };
  }

  async #goneFrom(
    array: StorageArray | undefined,
    suspects: readonly Suspect[],
    call: CallOptions,
  ): Promise<readonly Suspect[]> {
    if (array === undefined) return suspects;
    const gone = new Set(suspects);
    const byName = Map.groupBy(suspects, ({ copy }) => snapshotNameOf(copy));
    const meet = (snapshot: ArraySnapshot): void => {
      for (const suspect of byName.get(snapshot.name) ?? [])
        if (isSameSnapshot(snapshot, suspect.copy)) gone.delete(suspect);
    };
    if (byName.size > MOST_FINDS) for await (const snapshot of array.list('', call)) meet(snapshot);
    else for (const name of byName.keys()) (await array.find(name, call)).forEach(meet);
    return [...gone];
  }

  // All are of one checkpoint.
  async #countedOn([first]: readonly Suspect[], call: CallOptions): Promise<readonly SnapshotCopy[]> {
    if (first === undefined) return [];
    const opened = await openCheckpoint(first.vault, first.commit, call);
    return opened.state === 'removed' ? [] : arrayCopiesOf(opened);
  }
}
