import type { Clock, JobStore } from '../contracts/index.ts';

/** How soon is noticed what other workers have left, where nobody wakes this one. */
export const LOOK_PAUSE = 500;

/** Waits until the store's dispatcher wakes this process, and never longer than usual: its hints may be lost. */
export async function pauseUntilWoken(
  { store, clock }: { readonly store: Pick<JobStore, 'dispatcher'>; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const call = { signal: AbortSignal.any([signal, over.signal]) };
  try {
    const sleeping = clock.sleep(LOOK_PAUSE, call);
    // One that fails wakes nobody: then it is the time alone.
    await Promise.race([sleeping, store.dispatcher?.woken(call).catch(() => sleeping) ?? sleeping]);
  } finally {
    over.abort();
  }
}
