import type { SnapshotPolicy } from './policy.ts';
import type { CopyKind, Proof } from './snapshot-copy.ts';
import type { ArrayCapabilities } from './storage-array.ts';
import type { VolumeRef } from './volume.ts';

/** The facts a strategy decides on. */
export type StrategyRequest = {
  /** The volume to protect. */
  readonly volume: VolumeRef;
  /** Of the volume's array. */
  readonly capabilities: ArrayCapabilities;
  /** What was decided for this run. */
  readonly policy: Pick<SnapshotPolicy, 'archive' | 'keep' | 'background'>;
};

/** Whether a strategy takes a volume on; the reason is recorded either way. */
export type StrategyAnswer = {
  /** Yes or no. */
  readonly canHandle: boolean;
  /** Why, as one sentence for people. */
  readonly reason: string;
};

/** Which copies a snapshot gets, and when. */
export type CopyPlan = {
  /** Copies that must exist before the checkpoint counts, in this order; each is made from the one before. */
  readonly required: readonly CopyKind[];
  /** Which of the provider's external stores has the `external` copy; given exactly where one is required. */
  readonly store?: string;
  /** Copies that a job of their own makes afterwards, each from the array copy. */
  readonly background: readonly CopyKind[];
  /**
   * The proof that every archive and external copy must reach: before the checkpoint counts, or before the array copy may go.
   * An external copy that need not be `source-compared` lets no array copy go.
   */
  readonly proof: Proof;
  /**
   * Array copies that stay on the array: `all`, or those of so many of the newest archived checkpoints of the plan. Where
   * the array tells changes since a snapshot, the newest archived one stays in any case. None goes before its archive has
   * reached the proof.
   */
  readonly keep: SnapshotPolicy['keep'];
  /**
   * Where given, at least 2: of so many archives of the volume in a row, one reaches `source-compared`, so that what the
   * array calls unchanged is not believed for longer.
   */
  readonly compareEvery?: number;
};

/**
 * Decides which copies a snapshot gets, and moves nothing. Pure: the same request gets the same answer, without
 * I/O, so that previews tell the truth and old checkpoints never need the strategy that made them.
 */
export interface SnapshotStrategy {
  /** The version of this contract. */
  readonly contract: 1;
  /** Recorded with each choice. */
  readonly name: string;
  /** The provider asks its strategies in order; the first that can handle a volume wins. */
  canHandle(request: StrategyRequest): StrategyAnswer;
  /** Asked only after `canHandle` said yes to the same request. */
  plan(request: StrategyRequest): CopyPlan;
}
