import type { Clock, JobClaim, JobStore, ResourceHolder, ResourceLease } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { WhenBusy } from './operation.ts';

const NEXT_TRY = 500;

/** Thrown through an operation that has to begin again later; no error of the job. */
export class Postponed extends Error {
  /** When to try again, milliseconds since 1970 UTC. */
  readonly until: number;

  constructor({ resource, job, kind }: ResourceHolder, until: number) {
    super(`${resource} is held by job ${job} to ${kind} it`);
    this.until = until;
  }
}

/**
 * Takes resource leases, or does what the job asks for when it cannot. See `OperationContext.hold`. A part of a job takes
 * none: that job holds what its parts need, for it lasts longer, and they would stand in its way.
 */
export async function hold(
  of: { readonly store: JobStore; readonly claim: JobClaim; readonly clock: Clock },
  leases: readonly ResourceLease[],
  asked: WhenBusy | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { store, claim, clock } = of;
  if (claim.job.parent !== undefined) return;
  for (;;) {
    signal.throwIfAborted();
    const holder = await store.acquire(claim, leases);
    if (holder === undefined) return;
    const whenBusy = asked ?? (claim.job.input.whenBusy as WhenBusy | undefined);
    if (whenBusy === 'refuse') {
      const { resource, job, kind } = holder;
      throw new FafnirError('BUSY', `${resource} is held by job ${job} to ${kind} it`);
    }
    if (whenBusy !== 'wait') throw new Postponed(holder, clock.now() + NEXT_TRY);
    await clock.sleep(NEXT_TRY, { signal });
  }
}
