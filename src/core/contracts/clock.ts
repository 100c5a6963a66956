import type { CallOptions } from './call.ts';

/** The time, injected. Core code has no other. */
export interface Clock {
  /** Milliseconds since 1970 UTC; may jump. For records that people read, and for leases between processes. */
  now(): number;
  /** Milliseconds since some moment; never goes back. For durations. */
  monotonic(): number;
  /** Resolves after at least this many milliseconds; rejects with the signal's reason when aborted. */
  sleep(milliseconds: number, call: CallOptions): Promise<void>;
}
