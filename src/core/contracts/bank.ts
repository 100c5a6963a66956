import type { CallOptions } from './call.ts';

/**
 * What a bank promises, as data. The engine is correct with the least of it, and cheaper with more. A bank that finds
 * that the storage below cannot keep a promise refuses with `UNSUPPORTED`.
 */
export type BankCapabilities = {
  /** `atomic`: of several `put`s with `ifAbsent` exactly one creates the object, also between processes. */
  readonly conditionalCreate: 'atomic' | 'best-effort' | 'none';
  /** The largest object, in bytes; at least 64 MiB. */
  readonly objectSize: number;
  /**
   * After so many milliseconds `list` shows what was put, and no more what was removed; 0 where at once. A collection
   * waits so long before it asks what is needed.
   */
  readonly listingDelay: number;
  /** Whether objects can be locked, so that nobody removes them before an instant, with whatever credential. */
  readonly locks: boolean;
};

/** What a bank knows of an object without reading it. */
export type BankObject = {
  /** The whole key. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
};

/** Exactly these bytes of an object; reaching beyond it, or below 0, is `OUT_OF_RANGE`. */
export type BankRange = {
  /** Bytes from the start of the object. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
};

/** A whole object, unless it is too large. */
export type BankLimit = {
  /** Bytes; an object of more is refused with `LIMIT_EXCEEDED` before it is read. */
  readonly limit: number;
};

/** Which bytes of an object are wanted. */
export type BankRead = BankRange | BankLimit;

/** How an object is put. */
export type BankPut = CallOptions & {
  /** Whether an object that is there is left alone. */
  readonly ifAbsent: boolean;
  /**
   * Milliseconds since 1970 UTC: until then nobody removes or replaces the object, once it is there. An instant that has
   * passed locks nothing. `UNSUPPORTED` before any effect where the bank has no locks.
   */
  readonly retainUntil?: number;
};

/**
 * Object storage for checkpoints and archives. Contents are untrusted when read back.
 *
 * What the storage below must give: an object appears whole or not at all, under any crash; once `put` has
 * resolved it survives a power loss, and every process can read and list it.
 *
 * Keys are 1 to 512 characters: segments of at most 255 `A-Z a-z 0-9 . _ = -`, case being told apart, none of them `.` or `..`, joined by single
 * slashes. Any other key is refused with `INVALID_KEY` by every method before any effect, also where a link or
 * mount in the storage would lead outside the bank. The caller sees to it that no key is the folder
 * of another; a bank may refuse such a key.
 *
 * Errors carry the package's codes; wrappers and the engine retry those that are `retryable`, the bank does not.
 */
export interface Bank {
  /** The version of this contract. */
  readonly contract: 1;
  /** Unique within an engine; recorded in checkpoints. */
  readonly name: string;
  /** Frozen facts. */
  readonly capabilities: BankCapabilities;
  /**
   * Stores an object; the parts of a body are written one after the other. With `ifAbsent`, an existing object is left
   * alone and the answer is `exists`; without, it is replaced as a whole. May be repeated. The body is not changed by
   * the caller until the promise settles. A body above `objectSize` is `LIMIT_EXCEEDED`. `NO_SPACE` and `ACCESS_DENIED`
   * leave nothing; after `UNAVAILABLE` or an abort the object is there whole or not at all. With `retainUntil`, what
   * was created is locked from the moment it is there; `exists` says nothing of locks. `LOCKED` for what would be
   * replaced and is locked.
   */
  put(key: string, body: Uint8Array | readonly Uint8Array[], options: BankPut): Promise<'created' | 'exists'>;
  /** Bytes of an object in memory of their own (it may be transferred); `NOT_FOUND` where there is none. */
  get(key: string, read: BankRead, call: CallOptions): Promise<Uint8Array>;
  /** An object's facts, or undefined where there is none. */
  head(key: string, call: CallOptions): Promise<BankObject | undefined>;
  /**
   * Objects whose keys begin with `prefix` (any beginning of a key, also empty), in ascending order of their UTF-8
   * bytes, only those greater than `after` where given. Lazy: memory does not grow with the bank. Objects put or
   * removed meanwhile may or may not show; all others show exactly once. Leaving the loop ends it.
   */
  list(prefix: string, options: CallOptions & { readonly after?: string }): AsyncIterable<BankObject>;
  /**
   * Removes objects, durably; a missing one is success. Not atomic over the list: on an error some may be gone. What is
   * locked stays as it is: `LOCKED`, once all others are gone. Its message says until when, where that is known.
   */
  remove(keys: readonly string[], call: CallOptions): Promise<void>;
  /**
   * Locks objects until an instant, in milliseconds since 1970 UTC; there exactly where `capabilities.locks`. What is locked
   * for longer stays so. May be repeated. `NOT_FOUND` for a missing one; others of the call may be locked by then.
   */
  extend?(keys: readonly string[], retainUntil: number, call: CallOptions): Promise<void>;
}
