import type { CallOptions, Clock } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

// How long a plugin may go on after its signal was aborted before it is no longer waited for.
const GRACE = 5_000;

/** Whom to tell how something ended. */
export interface Settle<Value> {
  resolve(value: Value): void;
  reject(error: unknown): void;
}

type Attempt = {
  readonly name: string;
  readonly due: number;
  readonly controller: AbortController;
  late: FafnirError | undefined;
  // Where it is among those that are running; undefined once it is no longer waited for.
  place: number | undefined;
  readonly giveUp: (reason: FafnirError) => void;
};

/**
 * Runs work that has to end in time. One timer serves all work that is allowed the same time: a large job has some
 * hundred thousand attempts, and most are over at once.
 */
export class Attempts implements Disposable {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  // By the time allowed. Lists, for what a set has let go of long lives on in its former tables.
  readonly #running = new Map<number, Attempt[]>();
  readonly #disposed = new AbortController();
  readonly #abort = (): void => {
    for (const running of this.#running.values()) {
      for (const { controller } of running) controller.abort(this.#signal.reason);
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

  /**
   * Tells what the work comes to; `UNAVAILABLE` where it took longer than the milliseconds allowed, 0 for any time. By
   * callbacks, which must not throw, and of which one is called: a promise more for each attempt is noticed.
   */
  run<Value>(
    name: string,
    allowed: number,
    work: (call: CallOptions) => Promise<Value>,
    { resolve, reject }: Settle<Value>,
  ): void {
    const due = this.#clock.monotonic() + allowed;
    const controller = new AbortController();
    if (this.#signal.aborted) controller.abort(this.#signal.reason);
    const attempt: Attempt = { name, due, controller, late: undefined, place: undefined, giveUp: reject };
    const running = this.#among(allowed);
    add(running, attempt);
    const failed = (error: unknown): void => {
      // What an aborted call rejects with is up to the plugin; that it was late is what matters.
      if (remove(running, attempt)) reject(attempt.late ?? error);
    };
    try {
      work({ signal: controller.signal }).then((value) => {
        if (remove(running, attempt)) resolve(value);
      }, failed);
    } catch (error) {
      failed(error);
    }
  }

  #among(allowed: number): Attempt[] {
    const known = this.#running.get(allowed);
    if (known !== undefined) return known;
    const running: Attempt[] = [];
    this.#running.set(allowed, running);
    // Rejects when disposed.
    if (allowed > 0) this.#watch(allowed, running).catch(() => undefined);
    return running;
  }

  async #watch(allowed: number, running: Attempt[]): Promise<void> {
    for (;;) {
      const now = this.#clock.monotonic();
      let next = now + allowed;
      for (const attempt of running) {
        if (attempt.due > now) next = Math.min(next, attempt.due);
        else if (attempt.late === undefined) this.#end(attempt, allowed, running).catch(() => undefined);
      }
      await this.#clock.sleep(next - now, this.#disposed);
    }
  }

  async #end(attempt: Attempt, allowed: number, running: Attempt[]): Promise<void> {
    const late = new FafnirError('UNAVAILABLE', `${attempt.name} took longer than ${allowed} ms`);
    attempt.late = late;
    attempt.controller.abort(late);
    await this.#clock.sleep(GRACE, this.#disposed);
    if (!remove(running, attempt)) return;
    const message = `${attempt.name} did not end when it was aborted`;
    attempt.giveUp(new FafnirError('PLUGIN_FAILED', message, { cause: late }));
  }
}

function add(running: Attempt[], attempt: Attempt): void {
  attempt.place = running.push(attempt) - 1;
}

/** False where it was removed before. */
function remove(running: Attempt[], attempt: Attempt): boolean {
  const { place } = attempt;
  if (place === undefined) return false;
  attempt.place = undefined;
  const last = running.pop();
  if (last === undefined || last === attempt) return true;
  running[place] = last;
  last.place = place;
  return true;
}
