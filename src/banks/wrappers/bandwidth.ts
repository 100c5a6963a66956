import type { CallOptions, Clock } from '../../core/contracts/index.ts';

const SECOND = 1_000;

/**
 * A bucket of bytes that fills at a rate, holds what comes in one second and is full at first. What is taken may be
 * more than it holds: then it is in debt, and nobody may take until that is paid.
 */
export class Bandwidth {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  // When all that was taken is paid.
  #paidAt = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  /** Takes bytes as soon as there is no debt. */
  async take(bytes: number, { signal }: CallOptions): Promise<void> {
    for (;;) {
      const debt = this.#paidAt - this.#clock.monotonic();
      if (debt <= 0) break;
      // Whole milliseconds, as timers count; others that waited may have taken meanwhile.
      await this.#clock.sleep(Math.ceil(debt), { signal });
    }
    // In the same turn, or all that wait would find no debt.
    this.owe(bytes);
  }

  /** Takes bytes at once: they have passed already. */
  owe(bytes: number): void {
    const full = this.#clock.monotonic() - SECOND;
    this.#paidAt = Math.max(this.#paidAt, full) + (bytes / this.#bytesPerSecond) * SECOND;
  }
}
