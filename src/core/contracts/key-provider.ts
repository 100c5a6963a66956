import type { CallOptions } from './call.ts';

/** A key as it may be stored: only its {@link KeyProvider} makes it usable again. */
export type WrappedKey = {
  /** The key-encryption key that wrapped it: 1 to 64 of `a-z 0-9 -`. */
  readonly by: string;
  /** Base64 with padding, in its one canonical spelling; at most 4,096 characters. */
  readonly bytes: string;
};

/**
 * Holds key-encryption keys and lets none of them out: banks keep their data keys wrapped by it. What it unwraps is
 * untrusted input. Errors carry the package's codes; the engine retries those that are `retryable`, a provider does not.
 * No key is ever part of a message.
 */
export interface KeyProvider {
  /** The version of this contract. */
  readonly contract: 1;
  /** The key-encryption key that `wrap` uses now; by the next call it may be another. */
  current(call: CallOptions): Promise<string>;
  /**
   * Wraps a key of 1 to 256 bytes under the current key-encryption key, bound to `context` (1 to 1,024 UTF-16 code units
   * of well-formed text); anything else is `INVALID_OPTIONS`. The key is not changed by the caller until the promise
   * settles. A repeat may answer with other bytes.
   */
  wrap(key: Uint8Array, context: string, call: CallOptions): Promise<WrappedKey>;
  /**
   * The key that was wrapped with this context, also under a key-encryption key that is no longer current, or that
   * another process has made current since; in memory of its own, which the caller may overwrite or transfer. `CORRUPT`
   * for bytes or a context that are not those of `wrap`, `UNKNOWN_KEY`, naming it, for a key-encryption key that is not
   * held.
   */
  unwrap(wrapped: WrappedKey, context: string, call: CallOptions): Promise<Uint8Array>;
}
