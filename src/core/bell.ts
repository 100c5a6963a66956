import { unlessAborted } from './unless-aborted.ts';

/** Rings for whoever waits, or for the next who does: rings that nobody has heard count as one. */
export class Bell {
  #next = Promise.withResolvers<void>();

  /** Rings. */
  ring(): void {
    this.#next.resolve();
  }

  /** Resolves once it has rung since the last call that resolved; rejects with the signal's reason. */
  async heard(signal: AbortSignal): Promise<void> {
    await unlessAborted(this.#next.promise, signal);
    this.#next = Promise.withResolvers<void>();
  }
}
