/** What a promise comes to, but no waiting beyond an abort. */
export async function unlessAborted<Value>(coming: Promise<Value>, signal: AbortSignal): Promise<Value> {
  // Whoever no longer waits does not care how it ends: that must not end the process.
  coming.catch(() => undefined);
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([coming, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
