import type { CallOptions } from './call.ts';
import type { Json } from './json.ts';

/** A volume on a storage array. */
export type VolumeRef = {
  /** The array's name, looked up in the provider. */
  readonly array: string;
  /** The array's own id of the volume. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
};

/**
 * A run of bytes in a volume: `data` must be read, `zero` reads as zeros, `same` is unchanged since the snapshot
 * that the source was opened against. `zero` and `same` are promises; what is not known is `data`.
 */
export type Extent = {
  /** Bytes from the start of the volume. */
  readonly offset: number;
  /** Bytes, at least 1. */
  readonly length: number;
  /** What the run holds. */
  readonly kind: 'data' | 'zero' | 'same';
};

/** Reads a source's bytes on a thread; made by a module of a {@link ThreadSource}. */
export interface ThreadReader {
  /** As {@link VolumeSource.readInto}; two calls may overlap. */
  readInto(offset: number, into: Uint8Array, call: CallOptions): Promise<void>;
  /** Releases what it holds; no call is under way then. */
  close(): Promise<void>;
}

/**
 * Where threads of this process read a source's bytes themselves, for as long as it is open: a file or a block device
 * whose first byte is the volume's, or a module that exports `openReader(options)`, which resolves with a
 * {@link ThreadReader}. Lives in memory only and is never journaled, so options may hold secrets.
 */
export type ThreadSource =
  | {
      /** A file or a block device. */
      readonly kind: 'file';
      /** Where it is. */
      readonly path: string;
    }
  | {
      /** A module. */
      readonly kind: 'module';
      /** What a thread imports. */
      readonly url: string;
      /** What `openReader` is given. */
      readonly options: Json;
    };

/**
 * An open, unchanging image of a volume. Held open by one caller, who closes it; closing twice is allowed.
 * Calls may overlap.
 */
export interface VolumeSource extends AsyncDisposable {
  /** `random`: any range can be read at any time. */
  readonly access: 'random';
  /** Bytes. */
  readonly size: number;
  /** The whole volume in ascending order, without gaps and overlaps. `same` only when opened with `since`. */
  extents(call: CallOptions): AsyncIterable<Extent>;
  /**
   * Fills `into` with the bytes from `offset` on. Never short: a range beyond the size rejects with
   * `OUT_OF_RANGE`, a device error with `UNAVAILABLE`. May be repeated; the caller retries.
   */
  readInto(offset: number, into: Uint8Array, call: CallOptions): Promise<void>;
  /** Role: the same bytes by another way, which keeps an archive going while the host's thread is busy. */
  readonly threadSource?: ThreadSource;
  /** Releases the handle. */
  close(): Promise<void>;
}

/** A run of bytes in a stream: as an {@link Extent}, with its bytes where it has any, at least 1 and at most 4 MiB. */
export type Block =
  | {
      /** Bytes from the start of the volume. */
      readonly offset: number;
      /** Bytes, at least 1. */
      readonly length: number;
      /** As in an extent. */
      readonly kind: 'zero' | 'same';
    }
  | {
      /** Bytes from the start of the volume. */
      readonly offset: number;
      /** What is there. */
      readonly data: Uint8Array;
      /** As in an extent. */
      readonly kind: 'data';
    };

/**
 * An open, unchanging image of a volume that can only be read from its start to its end, such as what a program prints.
 * Held open by one caller, who closes it; closing twice is allowed.
 */
export interface SequentialSource extends AsyncDisposable {
  /** `sequential`: all of it once, in order. */
  readonly access: 'sequential';
  /** Bytes. */
  readonly size: number;
  /**
   * The whole volume in ascending order, without gaps and overlaps; called once. `same` only when opened with `since`. The
   * next block is made when it is asked for, and a block's bytes are the caller's. Ends only when everything was
   * there: a program that died, or told of too little, is `UNAVAILABLE`.
   */
  blocks(call: CallOptions): AsyncIterable<Block>;
  /** Releases the handle. */
  close(): Promise<void>;
}

/** An open volume that takes bytes. Calls may overlap on disjoint ranges; each may be repeated with the same data. */
export interface VolumeTarget extends AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  /** True while the whole volume is known to read as zeros, so that zeros need not be written; writing ends it. */
  readonly blank: boolean;
  /** Writes all of `data` at `offset`; rejects with `OUT_OF_RANGE`, `NO_SPACE` or `UNAVAILABLE`. */
  write(offset: number, data: Uint8Array, call: CallOptions): Promise<void>;
  /** Makes the range read as zeros, without allocating where the array can. */
  zero(offset: number, length: number, call: CallOptions): Promise<void>;
  /** Reads back what the volume holds now; the same duties as {@link VolumeSource.readInto}. */
  readInto(offset: number, into: Uint8Array, call: CallOptions): Promise<void>;
  /**
   * Role: what is where after the last flush, as in {@link VolumeSource.extents}, never `same` and without reads; whoever
   * compares the volume need not read what is `zero`.
   */
  extents?(call: CallOptions): AsyncIterable<Extent>;
  /**
   * Role: takes the whole volume as a stream, in ascending order without gaps and overlaps, never `same`: quicker than
   * single writes. Nothing else is called meanwhile. May be repeated. Rejects as `blocks` does; what the volume then
   * holds is not known.
   */
  receive?(blocks: AsyncIterable<Block>, call: CallOptions): Promise<void>;
  /**
   * Role, of what replaces a volume as a whole, so that writing only what differs gains nothing: forgets what the volume
   * holds, all of which then reads as zeros, and is `blank`. Whoever is about to write everything asks for it first.
   */
  clear?(call: CallOptions): Promise<void>;
  /** Resolves when everything written so far survives a power loss. */
  flush(call: CallOptions): Promise<void>;
  /** Releases the handle; does not flush. */
  close(): Promise<void>;
}
