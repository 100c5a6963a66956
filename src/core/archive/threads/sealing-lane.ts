import type { SealedPack } from '../pack-builder.ts';
import type { DataKey } from '../sealing.ts';
import type { SharedChunks } from '../volume/chunk-table.ts';
import type { SizedSource } from './thread-reader.ts';

/** What a lane needs to know for as long as it is open. Can be sent to a thread. */
export interface SealingOptions {
  /** What packs are sealed under. */
  readonly key: DataKey;
  /** What chunk ids are made with: see `deriveIdKey`. */
  readonly idKey: Uint8Array;
  /** The chunks that need not be stored; shared by all lanes of an archive. */
  readonly known: SharedChunks;
  /** Bytes of a pack at most; at least twice the largest chunk. */
  readonly packBytes: number;
  /** What the lane reads itself, if anything. */
  readonly source?: SizedSource;
}

/** Chunks, one after the other in one buffer. */
export interface Stripe {
  /** Changes hands. */
  readonly buffer: ArrayBuffer;
  /** Bytes of each chunk. */
  readonly lengths: Uint32Array;
}

/** Chunks that the lane reads itself. */
export interface UnreadStripe {
  /** Where they are in the volume, in order. */
  readonly reads: readonly { readonly offset: number; readonly length: number }[];
  /** Bytes of each chunk. */
  readonly lengths: Uint32Array;
}

/** What became of a stripe. */
export interface SealedStripe {
  /** The stripe's buffer, to be used again; none where the lane has read it. */
  readonly buffer?: ArrayBuffer;
  /** The chunks' ids, one after the other; zeros for a chunk of zeros. */
  readonly ids: Uint8Array;
  /** For each chunk its number among those that were known, or −1. */
  readonly numbers: Int32Array;
  /** Packs that became full. The chunks that are new are in these, or in one to come. */
  readonly packs: readonly SealedPack[];
}

/** Seals chunks into packs. */
export interface SealingLane {
  /**
   * Takes a stripe, which only lanes on threads of their own read themselves; `spare` is the buffer of a pack that is
   * stored.
   */
  seal(stripe: Stripe | UnreadStripe, spare?: ArrayBuffer): Promise<SealedStripe>;
  /** The pack that was begun, if any. Nothing is sealed afterwards. */
  finish(): Promise<SealedPack | undefined>;
  /** Forgets what was begun. */
  close(): void;
}
