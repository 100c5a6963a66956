import type { CallOptions } from './call.ts';
import type { CopyCall, CopySource, HeldCopies, SnapshotCopy } from './snapshot-copy.ts';
import type { ArraySnapshot } from './storage-array.ts';
import type { SequentialSource, VolumeSource } from './volume.ts';

/** What an external copy is made from. */
export interface ExternalSource extends Pick<CopySource, 'proof' | 'volume'> {
  /** The snapshot to copy, which stays for as long as it takes. */
  readonly snapshot: ArraySnapshot;
  /** Opens the snapshot, as {@link StorageArray.open}. */
  open(call: CallOptions): Promise<VolumeSource | SequentialSource>;
}

/** Something that an external store holds. */
export interface ExternalMade {
  /** What it was asked for under. */
  readonly token: string;
  /** The id of the volume that a copy is of; of what was made to be read, any text that is its own within the token. */
  readonly volume: string;
}

/**
 * Copies that a service outside keeps in a form of its own, such as the backups of a cloud. A service that says that it has a
 * copy may be wrong: such a copy is `stored` and counts for nothing, until it was restored and compared, all of it, with the
 * snapshot or with a digest of what was read of it; then it is `source-compared`.
 *
 * `restoreInto` compares what the service restores with that digest before it writes any of it. `externalCopiesSuite` of
 * `fafnir/testing` tries a store against this.
 */
export interface ExternalCopies extends HeldCopies {
  /** The version of this contract. */
  readonly contract: 1;
  /** Unique within a provider; the `location` of its copies. */
  readonly name: string;
  /** The kind of copies. */
  readonly kind: 'external';
  /**
   * Makes a copy. `token` as in {@link CopyStore.create}: a repeat finds what a dead caller made. What was compared and
   * differs is removed before it rejects with `NOT_PROVEN`. `reference` has at most 65,536 characters as JSON, and its member
   * `token` is the token.
   */
  create(source: ExternalSource, token: string, call: CopyCall): Promise<SnapshotCopy>;
  /**
   * As {@link CopyStore.remove}. A copy that others are built on goes when the last of them goes; until then the service shows
   * that it was given up.
   */
  remove(copy: SnapshotCopy, call: CallOptions): Promise<void>;
  /**
   * Undoes `create`, or a reading, also one that was never heard of again: removes whatever was made under its token, to be a
   * copy or to be read. Resolves with what that was, for people; nothing is success. What was made for `open`, which has no
   * token, goes when that is closed, or with the copy; until then nobody is shown it.
   */
  removeMade(token: string, call: CallOptions): Promise<readonly string[]>;
  /**
   * Everything that was asked for under tokens that begin so and that `removeMade` would remove, finished or not, in any
   * order; but neither what was given up, nor what was made to be read under the token of a copy.
   */
  list(prefix: string, call: CallOptions): AsyncIterable<ExternalMade>;
}
