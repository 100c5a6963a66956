import type { CallOptions } from './call.ts';
import type { JobId } from './identity.ts';

/** A transaction of the store that adds a job, for what has to happen with it or not at all. */
export interface StoreTransaction {
  /** Runs one statement of the store's database; values are `$1`, `$2` and so on. */
  query(
    sql: string,
    values: readonly unknown[],
  ): Promise<{
    /** The rows of its answer, by column. */
    readonly rows: readonly Readonly<Record<string, unknown>>[];
  }>;
}

/**
 * Wakes the workers of a store. Hints, and no more: one that is lost, late, repeated or wrong changes nothing but how soon
 * a job begins, for workers also look by themselves.
 */
export interface Dispatcher extends AsyncDisposable {
  /** The version of this contract. */
  readonly contract: 1;
  /** Makes ready what `notify` needs; called before each transaction that has a hint, and cheap once that is done. */
  open(): Promise<void>;
  /**
   * Gives a hint that the job may be taken, as a part of the transaction: when that commits, a worker is woken, and where it
   * is rolled back, none is. What it rejects with fails the transaction.
   */
  notify(job: JobId, transaction: StoreTransaction): Promise<void>;
  /**
   * Resolves when a hint has come since the last call that resolved; at once, where it came before this call. Hints that
   * come before the first call may be lost. While hints cannot be heard it waits and tries again; the caller looks by itself
   * meanwhile. Rejects with the signal's reason, or `CLOSED`.
   */
  woken(call: CallOptions): Promise<void>;
  /** Releases connections; calls of `woken` under way reject with `CLOSED`, and so do later ones. May be repeated. */
  close(): Promise<void>;
}
