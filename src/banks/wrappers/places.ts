import type { CallOptions } from '../../core/contracts/index.ts';

/** Lets so many calls be under way at once; the others start in the order they came. */
export class Places {
  #free: number;
  // Nobody waits while a place is free.
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Does the work when there is a place; aborted while it waits, it rejects with the signal's reason. */
  async run<Result>(work: () => Promise<Result>, { signal }: CallOptions): Promise<Result> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    try {
      // Its turn may have come in the same moment as the abort.
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#leave();
    }
  }

  // Resolves with a place taken.
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting.delete(start);
        reject(signal.reason);
      };
      this.#waiting.add(start);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
