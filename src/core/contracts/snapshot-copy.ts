import type { CallOptions } from './call.ts';
import type { JsonObject } from './json.ts';
import type { VolumeRef, VolumeSource, VolumeTarget } from './volume.ts';

/** Where a copy lives: on the storage array, in a bank, or with a service that keeps backups of its own. */
export type CopyKind = 'array' | 'archive' | 'external';

/**
 * What was proven of a copy, each level including the ones before. `stored`: the store acknowledged it.
 * `read-back`: every byte was read from where it lives and matches what was written. `source-compared`: it was
 * compared with a second reading of its source. `restored`: a restore from it was read back and compared.
 */
export type Proof = 'stored' | 'read-back' | 'source-compared' | 'restored';

/** One location of a volume's snapshot. A plain record: where it lives is data, not a code path. */
export type SnapshotCopy = {
  /** The kind of location. */
  readonly kind: CopyKind;
  /** The array's, the bank's or the external store's name. */
  readonly location: string;
  /** What the copy store needs to find it again. */
  readonly reference: JsonObject;
  /** The volume that it is a copy of. */
  readonly volume: VolumeRef;
  /** The instant that it holds, ISO 8601 in UTC. */
  readonly takenAt: string;
  /** The best proof so far. */
  readonly proof: Proof;
};

/** What an incremental copy is compared with. */
export type CopyBase = {
  /** An older copy of the volume in the same store. */
  readonly copy: SnapshotCopy;
  /** The array copy that it was made from, if that still exists. */
  readonly from?: SnapshotCopy;
};

/** What a copy is made from. */
export type CopySource = {
  /** The volume to copy. */
  readonly volume: VolumeRef;
  /** A copy to read from; an array copy is made from the volume itself and has none. */
  readonly from?: SnapshotCopy;
  /** What to compare with, so that only changes are moved. */
  readonly base?: CopyBase;
  /** The proof that the copy is to reach; a store that cannot reach it makes the copy, which says what it reached. */
  readonly proof: Proof;
};

/** A call that moves bytes. */
export interface CopyCall extends CallOptions {
  /** Told about bytes of the volume dealt with (read, or known without reading) since the last call. */
  progress(bytes: number): void;
}

/** A call that reads a copy. */
export interface ReadCall extends CopyCall {
  /**
   * Names the reading of one copy, by one call at a time, as another token names what `create` makes: a repeat may go on from
   * what a dead caller proved, and when it ends nothing is left of what one had made to be read.
   */
  readonly token: string;
}

/** How a copy is verified. */
export type VerifyRequest = {
  /** `tags`: every byte is as it was stored; `deep`: it is also what was to be stored. */
  readonly level: 'tags' | 'deep';
  /** The share to read, above 0 and up to 1, picked by chance. */
  readonly sample: number;
};

/** What a verification found; a copy that is not sound makes it reject. */
export type Verification = {
  /**
   * How far the copy is proven: a look at what cannot be read a second way, and a `sample` below 1 even where all was read,
   * prove no more than `stored`.
   */
  readonly proof: Proof;
  /**
   * The probability of having found damage, if one in a hundred of the objects that the copy consists of were damaged; 0
   * where none was read.
   */
  readonly confidence: number;
  /** Objects of the copy that were found damaged, though all that it needs can still be read; 0 unless given. */
  readonly damaged?: number;
};

/** Holds copies, and is alone in moving them. Errors carry the package's codes; the engine retries those that are `retryable`. */
export interface HeldCopies {
  /** Opens a copy for reading; `NOT_FOUND` where it is gone, `CORRUPT` where it is not what was stored. */
  open(copy: SnapshotCopy, call: CallOptions): Promise<VolumeSource>;
  /**
   * Makes the target hold exactly the copy's bytes, old contents never shining through, flushes, reads the target
   * back and compares: `NOT_PROVEN` where it differs. What the store can check of a byte it checks before writing
   * it; `CORRUPT` stops it. Resolves with the number of bytes written.
   */
  restoreInto(copy: SnapshotCopy, target: VolumeTarget, call: ReadCall): Promise<number>;
  /**
   * Reads a volume that something else has filled and compares it, all of it, with the copy; writes nothing. `NOT_PROVEN`
   * where it does not hold exactly the copy's bytes; `NOT_FOUND` and `CORRUPT` as `open`.
   */
  compare(copy: SnapshotCopy, target: VolumeTarget, call: ReadCall): Promise<void>;
  /** Proves the copy as far as asked and as the store can; rejects with `NOT_FOUND` or `CORRUPT`. */
  verify(copy: SnapshotCopy, request: VerifyRequest, call: ReadCall): Promise<Verification>;
  /** Removes a copy; a missing one is success. Never touches what another copy needs. */
  remove(copy: SnapshotCopy, call: CallOptions): Promise<void>;
}

/** Holds copies of one kind. Made for one tenant and one provider. */
export interface CopyStore extends HeldCopies {
  /** The kind of copies. */
  readonly kind: CopyKind;
  /**
   * Makes one copy of each source, in their order, all or none; an array copies all of them at one instant where it
   * can. `token` (44 characters of a-z 0-9 and -) names the effect: a repeat finds what a dead caller made. The
   * copies have at least the proof `stored`.
   */
  create(sources: readonly CopySource[], token: string, call: CopyCall): Promise<readonly SnapshotCopy[]>;
}
