import type { CallOptions, Clock } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

// How long a plugin may go on after its signal was aborted before it is no longer waited for.
const GRACE = 5_000;

type Attempt = {
  readonly name: string;
  readonly due: number;
  controller: AbortController | undefined;
  late: FafnirError | undefined;
  readonly giveUp: (reason: FafnirError) => void;
};

/**
 * Runs work that has to end in time. One timer serves all work that is allowed the same time, and a signal is made
 * only for work that looks at it: a large job has some hundred thousand attempts, and most are over at once.
 */
export class Attempts implements Disposable {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  // By the time allowed, in the order in which it will have passed.
  readonly #running = new Map<number, Set<Attempt>>();
  readonly #disposed = new AbortController();
  readonly #abort = (): void => {
    for (const running of this.#running.values()) {
      for (const { controller } of running) controller?.abort(this.#signal.reason);
    }
  };

  /** `signal` aborts all work. */
  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', this.#abort);
  }

  /** Stops watching; no work may be under way. */
  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#abort);
    this.#disposed.abort();
  }

  /** What the work comes to; `UNAVAILABLE` where it took longer than the milliseconds allowed, 0 for any time. */
  run<Value>(name: string, allowed: number, work: (call: CallOptions) => Promise<Value>): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      const due = this.#clock.monotonic() + allowed;
      const attempt: Attempt = { name, due, controller: undefined, late: undefined, giveUp: reject };
      const signalOf = (): AbortSignal => this.#signalOf(attempt);
      const call: CallOptions = {
        get signal() {
          return signalOf();
        },
      };
      const running = this.#among(allowed);
      running.add(attempt);
      work(call).then(
        (value) => {
          running.delete(attempt);
          resolve(value);
        },
        (error: unknown) => {
          running.delete(attempt);
          // What an aborted call rejects with is up to the plugin; that it was late is what matters.
          reject(attempt.late ?? error);
        },
      );
    });
  }

  #signalOf(attempt: Attempt): AbortSignal {
    attempt.controller ??= new AbortController();
    if (this.#signal.aborted) attempt.controller.abort(this.#signal.reason);
    if (attempt.late !== undefined) attempt.controller.abort(attempt.late);
    return attempt.controller.signal;
  }

  #among(allowed: number): Set<Attempt> {
    const known = this.#running.get(allowed);
    if (known !== undefined) return known;
    const running = new Set<Attempt>();
    this.#running.set(allowed, running);
    // Rejects when disposed.
    if (allowed > 0) this.#watch(allowed, running).catch(() => undefined);
    return running;
  }

  async #watch(allowed: number, running: Set<Attempt>): Promise<void> {
    for (;;) {
      const now = this.#clock.monotonic();
      let next = now + allowed;
      for (const attempt of running) {
        if (attempt.due > now) {
          next = attempt.due;
          break;
        }
        if (attempt.late === undefined) this.#end(attempt, allowed, running).catch(() => undefined);
      }
      await this.#clock.sleep(next - now, this.#disposed);
    }
  }

  async #end(attempt: Attempt, allowed: number, running: Set<Attempt>): Promise<void> {
    const late = new FafnirError('UNAVAILABLE', `${attempt.name} took longer than ${allowed} ms`);
    attempt.late = late;
    attempt.controller?.abort(late);
    await this.#clock.sleep(GRACE, this.#disposed);
    if (!running.delete(attempt)) return;
    const message = `${attempt.name} did not end when it was aborted`;
    attempt.giveUp(new FafnirError('PLUGIN_FAILED', message, { cause: late }));
  }
}
