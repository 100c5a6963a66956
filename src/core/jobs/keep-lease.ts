import type { Clock, JobClaim, JobStore } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

/** A claim that is being extended. */
export interface KeptLease {
  /** Aborted when the claim is lost, or cannot be shown to last. */
  readonly lost: AbortSignal;
  /** Aborted when the job's end was asked for. */
  readonly cancelled: AbortSignal;
  /** Throws `FENCED` once the claim may have ended by the clock, be it that this process was stopped meanwhile. */
  assertHeld(): void;
  /** Stops extending it. */
  release(): Promise<void>;
}

/** Extends a claim three times per lease. A worker that cannot do so stops before another may take the job. */
export function keepLease(of: {
  readonly store: JobStore;
  readonly claim: JobClaim;
  readonly clock: Clock;
  readonly leaseMilliseconds: number;
}): KeptLease {
  const { store, claim, clock, leaseMilliseconds } = of;
  const interval = leaseMilliseconds / 3;
  const lost = new AbortController();
  const cancelled = new AbortController();
  const released = new AbortController();
  const cancel = (): void =>
    cancelled.abort(new FafnirError('CANCELLED', `job ${claim.job.id} was cancelled`));
  if (claim.job.cancelRequested) cancel();

  // A store that never answers counts as one that fails.
  const answered = async <Value>(answer: Promise<Value>): Promise<Value> => {
    const late = new AbortController();
    const signal = AbortSignal.any([late.signal, released.signal]);
    try {
      return await Promise.race([
        answer,
        clock.sleep(interval / 2, { signal }).then(() => {
          throw new FafnirError('UNAVAILABLE', 'the job store does not answer');
        }),
      ]);
    } finally {
      late.abort();
    }
  };

  let ends = clock.monotonic() + claim.job.leaseUntil - clock.now();
  const beat = async (): Promise<void> => {
    while (!lost.signal.aborted) {
      await clock.sleep(interval, { signal: released.signal });
      const asked = clock.monotonic();
      try {
        const { cancelRequested } = await answered(store.heartbeat(claim, clock.now() + leaseMilliseconds));
        ends = asked + leaseMilliseconds;
        if (cancelRequested) cancel();
      } catch (error) {
        // A store that does not answer is asked again, as long as the lease surely lasts that long.
        if (FafnirError.is(error, 'FENCED') || clock.monotonic() + interval >= ends) lost.abort(error);
      }
    }
  };
  const beating = beat().catch((error: unknown) => {
    if (!released.signal.aborted) lost.abort(error);
  });
  return {
    lost: lost.signal,
    cancelled: cancelled.signal,
    assertHeld: () => {
      if (clock.monotonic() < ends) return;
      lost.abort(new FafnirError('FENCED', `the lease of job ${claim.job.id} has run out`));
      throw lost.signal.reason;
    },
    release: async () => {
      released.abort();
      await beating;
    },
  };
}
