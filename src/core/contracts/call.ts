/** What every call to a plugin carries. */
export interface CallOptions {
  /**
   * Aborted when the caller no longer wants the answer. A plugin checks it before its first side effect and at
   * least once a second while it works, and then rejects with the signal's reason or an error caused by it.
   * Clean-up after an abort must not use the aborted signal.
   */
  readonly signal: AbortSignal;
}
