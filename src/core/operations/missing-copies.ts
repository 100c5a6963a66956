import { openCheckpoint } from '../archive/catalog.ts';
import type { Commit } from '../archive/checkpoint.ts';
import type { Vault } from '../archive/vault.ts';
import type { CallOptions, CheckpointId, Clock, SnapshotCopy, TenantId } from '../contracts/index.ts';
import { type Listed, Lister } from '../listed.ts';
import type { SnapshotKey } from './census.ts';
import { copiesOutside } from './copies.ts';
import { keyOf, placeOf, type ReconciledPlace } from './reconciled-places.ts';

/** A copy that a checkpoint counts on and that is not where it should be. */
export type MissingCopy = SnapshotKey & {
  /** Whose checkpoint. */
  readonly tenant: TenantId;
  /** The checkpoint. */
  readonly checkpoint: CheckpointId;
};

type Suspect = { readonly vault: Vault; readonly commit: Commit; readonly copy: SnapshotCopy };

const MOST_SUSPECTS = 1_000;

/** Copies that an array or a store did not list, until it is known whether they are missing. */
export class MissingCopies {
  readonly #places: ReadonlyMap<string, ReconciledPlace>;
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #missing: ReadonlyMap<string, Lister<MissingCopy>>;
  #suspects: Suspect[] = [];

  constructor(places: ReadonlyMap<string, ReconciledPlace>, clock: Pick<Clock, 'sleep'>) {
    this.#places = places;
    this.#clock = clock;
    this.#missing = new Map(Array.from(places.keys(), (place) => [place, new Lister()]));
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
    for (const [place, suspects] of Map.groupBy(this.#suspects, ({ copy }) => placeOf(copy))) {
      const copies = suspects.map(({ copy }) => copy);
      const without = new Set(await this.#places.get(place)?.without(copies, call));
      gone.push(...suspects.filter(({ copy }) => without.has(copy)));
    }
    this.#suspects = [];
    if (gone.length === 0) return;
    await this.#clock.sleep(Math.max(...gone.map(({ vault }) => vault.bank.capabilities.listingDelay)), call);
    for (const [{ id, tenant }, suspects] of Map.groupBy(gone, ({ commit }) => commit)) {
      const counted = await this.#countedOn(suspects, call);
      for (const { copy } of suspects) {
        const { name, volume } = keyOf(copy);
        if (counted.some((one) => placeOf(one) === placeOf(copy) && isOf(one, { name, volume })))
          this.#missing.get(placeOf(copy))?.add({ tenant, checkpoint: id, name, volume });
      }
    }
  }

  /** What is missing in a place. */
  in(place: string): Listed<MissingCopy> {
    return this.#missing.get(place)?.list() ?? { count: 0, first: [] };
  }

  // All are of one checkpoint.
  async #countedOn([first]: readonly Suspect[], call: CallOptions): Promise<readonly SnapshotCopy[]> {
    if (first === undefined) return [];
    const opened = await openCheckpoint(first.vault, first.commit, call);
    return opened.state === 'removed' ? [] : copiesOutside(opened);
  }
}

const isOf = (copy: SnapshotCopy, { name, volume }: SnapshotKey): boolean =>
  keyOf(copy).name === name && keyOf(copy).volume === volume;
