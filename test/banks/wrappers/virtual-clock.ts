import { setImmediate } from 'node:timers/promises';
import type { CallOptions, Clock } from '../../../src/index.ts';

/** A clock that stands still until somebody waits for work that sleeps. */
export class VirtualClock implements Clock {
  /** How long each sleep was asked to be. */
  readonly sleeps: number[] = [];
  readonly #sleeping = new Set<{ readonly due: number; readonly wake: () => void }>();
  #time = 1_000_000;

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleeping.size;
  }

  now(): number {
    return this.#time;
  }

  monotonic(): number {
    return this.#time;
  }

  async sleep(milliseconds: number, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    this.sleeps.push(milliseconds);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { due: this.#time + milliseconds, wake: resolve };
    this.#sleeping.add(sleeper);
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await promise;
    } finally {
      this.#sleeping.delete(sleeper);
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Goes on by so much, as if work took that long. */
  advance(milliseconds: number): void {
    this.#time += milliseconds;
    for (const { due, wake } of this.#sleeping) if (due <= this.#time) wake();
  }

  /** What the work comes to; whenever all of it sleeps, the time is that of the next to wake. */
  async until<Result>(work: Promise<Result>): Promise<Result> {
    let settled = false;
    const over = (): void => {
      settled = true;
    };
    work.then(over, over);
    while (!settled) {
      await setImmediate();
      const next = Math.min(...[...this.#sleeping].map(({ due }) => due));
      if (!settled && Number.isFinite(next)) this.advance(Math.max(0, next - this.#time));
    }
    return work;
  }
}
