import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../src/core/contracts/index.ts';

/** A clock that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #time = 1_700_000_000_000;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  now = (): number => this.#time;
  // Starts elsewhere, so that code that mixes the two up fails.
  monotonic = (): number => this.#time - 1_600_000_000_000;

  sleep = (milliseconds: number, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const sleeper = { at: this.#time + milliseconds, wake: resolve };
      this.#sleepers.add(sleeper);
      const stop = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      };
      signal.addEventListener('abort', stop, { once: true });
    });
  };

  /** Lets this much time pass; sleepers wake at their own times, and what they do then is done. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#time + milliseconds;
    for (;;) {
      await settled();
      const [next] = [...this.#sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#time = Math.max(this.#time, next.at);
      this.#sleepers.delete(next);
      next.wake();
    }
    this.#time = end;
    await settled();
  }
}

/** Resolves when nothing is left to do but to wait. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}
