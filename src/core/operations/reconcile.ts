import { listCheckpoints, openCheckpoint } from '../archive/catalog.ts';
import type { Commit } from '../archive/checkpoint.ts';
import { listInstallations } from '../archive/installations.ts';
import { isDamage } from '../archive/records.ts';
import { tenantsIn } from '../archive/tenants.ts';
import type { Vault } from '../archive/vault.ts';
import type {
  CallOptions,
  CheckpointId,
  ErrorRecord,
  JobRecord,
  JobStore,
  Provider,
  SnapshotCopy,
  TenantId,
} from '../contracts/index.ts';
import { briefRecord, FafnirError } from '../errors.ts';
import { type Listed, Lister } from '../listed.ts';
import { mapSettled } from '../map-settled.ts';
import { Census, type SnapshotKey } from './census.ts';
import { copiesOutside } from './copies.ts';
import { MissingCopies, type MissingCopy } from './missing-copies.ts';
import type { ProtectInput } from './protect-commit.ts';
import { keyOf, placeOf, placesOf, type ReconciledPlace } from './reconciled-places.ts';
import type { OperationServices } from './services.ts';
import { effectName, installationIn, NAME_PREFIX } from './tokens.ts';

/** Snapshots that bear the name of another installation and that nothing here accounts for. */
export type ForeignSnapshots = {
  /** Whose they are; null where the names begin as ours do, and tell no installation. */
  readonly installation: string | null;
  /** How many. */
  readonly snapshots: number;
  /** Whether the provider's bank has a record of it, so that it can be adopted. */
  readonly isRecorded: boolean;
};

/** A snapshot that should be removed and could not be. */
export type UnremovedSnapshot = SnapshotKey & {
  /** Why not; it is found again by the next reconciliation. */
  readonly error: ErrorRecord;
};

/** What was found in one place. */
export type ReconciledSnapshots = {
  /** Snapshots that checkpoints count on. */
  readonly referenced: number;
  /** Snapshots of jobs that have not ended, and of those whose provider this engine does not have. */
  readonly inUse: number;
  /** Snapshots that are provably ours and that nobody needs. */
  readonly orphans: Listed<SnapshotKey>;
  /** How many of those were removed. */
  readonly removed: number;
  /** Those that could not be. */
  readonly failed: Listed<UnremovedSnapshot>;
  /** Snapshots of other installations, which are never removed; in ascending order of installation. */
  readonly foreign: readonly ForeignSnapshots[];
  /** Copies that checkpoints of the provider count on and that are not there. Nothing is changed. */
  readonly missing: Listed<MissingCopy>;
};

/** What was found on one array. */
export type ReconciledArray = ReconciledSnapshots & {
  /** The array's name. */
  readonly array: string;
};

/** What was found in one external store: its copies, whose names are their tokens. */
export type ReconciledStore = ReconciledSnapshots & {
  /** The store's name. */
  readonly store: string;
};

/** A checkpoint of which nobody knows what it needs. */
export type UndecidedCheckpoint = {
  /** Whose. */
  readonly tenant: TenantId;
  /** The bank that holds it. */
  readonly bank: string;
  /** The checkpoint; null where none of the tenant's can be read. */
  readonly checkpoint: CheckpointId | null;
  /** Why it cannot be read. */
  readonly error: ErrorRecord;
};

/** What a reconciliation found and did. */
export type Reconciliation = {
  /** The provider's name. */
  readonly provider: string;
  /** Whose names are ours: the job store's. */
  readonly installation: string;
  /** Checkpoints that cannot be read. While there are any, nothing is removed. */
  readonly undecided: Listed<UndecidedCheckpoint>;
  /** By array of the provider. */
  readonly arrays: readonly ReconciledArray[];
  /** By external store of the provider. */
  readonly external: readonly ReconciledStore[];
};

/** What is to be reconciled. */
export type ReconcileRequest = {
  /** The provider's name. */
  readonly provider: string;
  /** Only tells what would go. */
  readonly preview: boolean;
  /** Other installations whose orphans are removed too. */
  readonly adopt: readonly string[];
};

const REMOVALS_AT_ONCE = 8;
const REMOVALS_IN_TURN = 256;

/**
 * Compares the arrays and external stores of a provider with open jobs and checkpoints, and removes snapshots that are provably ours and
 * that nobody needs.
 *
 * It takes no lease and stops nobody; what makes it safe is the order. First the arrays and stores are listed, and nothing is
 * removed but what they had then. An intent is journaled before its snapshot or copy is asked for, so whatever was there
 * belongs to an intent that can be read from now on: of a job that is still open when the jobs are read next, and then
 * it is left alone; or of one that has ended before, and then its checkpoint was committed before. Banks list that
 * commit once their delay has passed, so the checkpoints are read last, of every tenant in every bank of the engine:
 * what none of them counts on, none ever will, for a copy that was given up is never counted on again, and a job that
 * has ended begins nothing. Whoever else removes the same snapshot meanwhile has the same reason. It may stop anywhere,
 * and be repeated.
 *
 * So the engine must have all providers and banks that were used with its job store: it is as with running jobs, which
 * any engine on the store may take up.
 */
export class SnapshotReconciliation {
  readonly #services: OperationServices;
  readonly #store: JobStore;
  readonly #request: ReconcileRequest;
  readonly #provider: Provider;
  readonly #places: ReturnType<typeof placesOf>;
  readonly #missing: MissingCopies;
  readonly #undecided = new Lister<UndecidedCheckpoint>();
  readonly #recorded = new Set<string>();
  readonly #call: CallOptions;

  constructor(services: OperationServices, store: JobStore, request: ReconcileRequest, call: CallOptions) {
    this.#services = services;
    this.#store = store;
    this.#request = request;
    this.#provider = services.provider(request.provider, null);
    this.#places = placesOf(this.#provider);
    this.#missing = new MissingCopies(
      new Map([...this.#places.arrays, ...this.#places.external]),
      services.clock,
    );
    this.#call = call;
  }

  /** Does it; `NOT_FOUND`, before anything is removed, where the bank has no record of an adopted installation. */
  async run(): Promise<Reconciliation> {
    const { arrays, external } = this.#places;
    const censuses = new Map<string, Census>();
    for (const [at, place] of [...arrays, ...external]) {
      censuses.set(at, await Census.take(place.list(NAME_PREFIX, this.#call), this.#call));
    }
    await this.#claimForJobs(censuses);
    await this.#claimForCheckpoints(censuses);
    await this.#missing.confirm(this.#call);
    for (const id of this.#request.adopt) {
      if (this.#recorded.has(id)) continue;
      throw new FafnirError(
        'NOT_FOUND',
        `bank ${this.#provider.bank.name} has no record of installation ${id}`,
        {
          hint: 'Adopt installations that a reconciliation shows as recorded.',
        },
      );
    }
    const settled = async <Named>(
      places: ReadonlyMap<string, ReconciledPlace>,
      named: (name: string) => Named,
    ): Promise<readonly (Named & ReconciledSnapshots)[]> => {
      const found: (Named & ReconciledSnapshots)[] = [];
      for (const [at, place] of places) {
        const census = censuses.get(at);
        if (census === undefined) continue;
        found.push({ ...named(place.name), ...(await this.#settle(at, place, census)) });
      }
      return found;
    };
    const { installation } = this.#services;
    return {
      provider: this.#provider.name,
      installation,
      undecided: this.#undecided.list(),
      arrays: await settled(arrays, (array) => ({ array })),
      external: await settled(external, (store) => ({ store })),
    };
  }

  async #claimForJobs(censuses: ReadonlyMap<string, Census>): Promise<void> {
    for await (const tenant of this.#store.tenants()) {
      for await (const job of this.#store.list(tenant, {})) {
        this.#call.signal.throwIfAborted();
        if (job.outcome !== undefined && this.#isWithinReach(job)) continue;
        for (const { kind, step } of await this.#store.journal(tenant, job.id)) {
          if (kind !== 'intent') continue;
          const name = effectName(this.#services.installation, job, step);
          for (const census of censuses.values()) census.claimForJob(name);
        }
      }
    }
  }

  // Where this engine does not have the provider, nobody here knows the bank with what the job has made.
  #isWithinReach({ operation, input }: JobRecord): boolean {
    return operation !== 'protect' || this.#services.providers.has((input as ProtectInput).plan.provider);
  }

  async #claimForCheckpoints(censuses: ReadonlyMap<string, Census>): Promise<void> {
    const banks = Array.from(this.#services.banks.values(), ({ bank }) => bank);
    const delay = Math.max(...banks.map(({ capabilities }) => capabilities.listingDelay));
    await this.#services.clock.sleep(delay, this.#call);
    for (const bank of banks) {
      for await (const tenant of tenantsIn(bank, this.#call)) {
        const vault = this.#services.vault(bank.name, tenant);
        try {
          if (bank.name === this.#provider.bank.name) {
            for await (const { id } of listInstallations(vault, this.#call)) this.#recorded.add(id);
          }
          await this.#claimForTenant(vault, censuses);
        } catch (error) {
          if (!FafnirError.is(error, 'UNKNOWN_KEY')) throw error;
          this.#undecide(vault, null, error);
        }
      }
    }
  }

  async #claimForTenant(vault: Vault, censuses: ReadonlyMap<string, Census>): Promise<void> {
    for await (const checkpoint of listCheckpoints(vault, {}, this.#call)) {
      this.#call.signal.throwIfAborted();
      if (checkpoint.state === 'removed') continue;
      if ('artifacts' in checkpoint) await this.#claimForCheckpoint(vault, checkpoint, censuses);
      else this.#undecided.add({ ...bankOf(vault), checkpoint: checkpoint.id, error: checkpoint.error });
    }
  }

  async #claimForCheckpoint(
    vault: Vault,
    commit: Commit,
    censuses: ReadonlyMap<string, Census>,
  ): Promise<void> {
    for (const { copy, key, isLost } of await this.#needsOf(vault, commit)) {
      // Everywhere: two providers may have one array, and a provider may have got another name since.
      const claimed = Array.from(censuses, ([at, census]) => census.claimForCheckpoint(key) && at);
      const at = placeOf(copy);
      const isOfProvider = commit.provider === this.#provider.name && censuses.has(at);
      if (!isOfProvider || isLost || claimed.includes(at)) continue;
      await this.#missing.suspect({ vault, commit, copy }, this.#call);
    }
  }

  // The snapshots that a checkpoint counts on, and those that were lost to it, for they may be found again.
  async #needsOf(
    vault: Vault,
    commit: Commit,
  ): Promise<
    readonly { readonly copy: SnapshotCopy; readonly key: SnapshotKey; readonly isLost: boolean }[]
  > {
    try {
      const opened = await openCheckpoint(vault, commit, this.#call);
      const lost = opened.lost.flatMap(({ copy }) => (copy.kind === 'archive' ? [] : [copy]));
      return [...copiesOutside(opened), ...lost].map((copy) => ({
        copy,
        key: keyOf(copy),
        isLost: lost.includes(copy),
      }));
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#undecide(vault, commit.id, error);
      return [];
    }
  }

  #undecide(vault: Vault, checkpoint: CheckpointId | null, error: unknown): void {
    this.#undecided.add({ ...bankOf(vault), checkpoint, error: briefRecord(error) });
  }

  async #settle(at: string, place: ReconciledPlace, census: Census): Promise<ReconciledSnapshots> {
    const { installation } = this.#services;
    const ours = new Set<string | null>([installation, ...this.#request.adopt]);
    const isKept = this.#request.preview || this.#undecided.list().count > 0;
    const orphans = new Lister<SnapshotKey>();
    const failed = new Lister<UnremovedSnapshot>();
    const foreign = new Map<string | null, number>();
    let removed = 0;
    let turn: SnapshotKey[] = [];
    const removeTurn = async (): Promise<void> => {
      const errors = await this.#remove(place, turn);
      removed += turn.length - errors.length;
      for (const one of errors) failed.add(one);
      turn = [];
    };
    for (const snapshot of census.unclaimed()) {
      const of = installationIn(snapshot.name);
      if (!ours.has(of)) {
        foreign.set(of, (foreign.get(of) ?? 0) + 1);
        continue;
      }
      orphans.add(snapshot);
      if (!isKept) turn.push(snapshot);
      if (turn.length === REMOVALS_IN_TURN) await removeTurn();
    }
    await removeTurn();
    return {
      referenced: census.count('checkpoint'),
      inUse: census.count('job'),
      orphans: orphans.list(),
      removed,
      failed: failed.list(),
      foreign: [...foreign]
        .map(([of, snapshots]) => ({
          installation: of,
          snapshots,
          isRecorded: of !== null && this.#recorded.has(of),
        }))
        .sort((a, b) => ((a.installation ?? '') < (b.installation ?? '') ? -1 : 1)),
      missing: this.#missing.in(at),
    };
  }

  // Resolves with what stayed.
  async #remove(place: ReconciledPlace, orphans: readonly SnapshotKey[]): Promise<UnremovedSnapshot[]> {
    const outcomes = await mapSettled(
      orphans,
      async (orphan, _at, signal) => {
        try {
          await place.remove(orphan, { signal });
          return [];
        } catch (error) {
          this.#call.signal.throwIfAborted();
          return [{ ...orphan, error: briefRecord(error) }];
        }
      },
      { concurrency: REMOVALS_AT_ONCE, ...this.#call },
    );
    return outcomes.flat();
  }
}

const bankOf = ({ tenant, bank }: Vault): Pick<UndecidedCheckpoint, 'tenant' | 'bank'> => ({
  tenant,
  bank: bank.name,
});
