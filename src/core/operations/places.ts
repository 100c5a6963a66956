import type { CallOptions } from '../contracts/index.ts';
import type { CallLimit, Limiter } from '../policy/limiter.ts';
import { unlessAborted } from '../unless-aborted.ts';

/** The places of a set, taken or waited for. */
interface Taken {
  readonly entered: Promise<void>;
  readonly left: AbortController;
  inside: number;
}

/**
 * Places that a set of work takes together before the first of it begins, and gives back when none of it is under way:
 * so that nothing is held up in the middle that could have waited before. Whoever is in a set finds the others' places
 * taken, and does not wait.
 */
export class Places {
  readonly #limiter: Limiter;
  readonly #limitsOf: (set: number) => readonly CallLimit[];
  readonly #taken = new Map<number, Taken>();

  /** `limitsOf` says what a set needs. */
  constructor(limiter: Limiter, limitsOf: (set: number) => readonly CallLimit[]) {
    this.#limiter = limiter;
    this.#limitsOf = limitsOf;
  }

  /** Waits for the places of the set; rejects with the signal's reason, and then there is nothing to leave. */
  async enter(set: number, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    const taken = this.#taken.get(set) ?? this.#take(set);
    taken.inside += 1;
    try {
      await unlessAborted(taken.entered, signal);
    } catch (error) {
      this.leave(set);
      throw error;
    }
  }

  /** Once for each time that it was entered. */
  leave(set: number): void {
    const taken = this.#taken.get(set);
    if (taken === undefined) return;
    taken.inside -= 1;
    if (taken.inside > 0) return;
    this.#taken.delete(set);
    taken.left.abort();
  }

  #take(set: number): Taken {
    const { promise: entered, resolve, reject } = Promise.withResolvers<void>();
    const left = new AbortController();
    const stay = (): Promise<void> =>
      new Promise((leave) => {
        left.signal.addEventListener('abort', () => leave());
        resolve();
      });
    // Refused only when nobody waits any more.
    this.#limiter.run(this.#limitsOf(set), stay, { signal: left.signal }).catch(reject);
    entered.catch(() => undefined);
    const taken = { entered, left, inside: 0 };
    this.#taken.set(set, taken);
    return taken;
  }
}
