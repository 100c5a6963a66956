import type { Clock, Json } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { Journal } from './journal.ts';

const ATTEMPTS = 3;
const FIRST_PAUSE = 200;

/** Runs steps against a journal, and knows which are under way. */
export class Steps {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  // A second step of a name would be given the first one's result.
  readonly #used = new Set<string>();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(journal: Journal, clock: Clock, signal: AbortSignal) {
    this.#journal = journal;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** See `OperationContext.step` and, with `intent`, `OperationContext.effect`. */
  run<Value extends Json>(name: string, intent: boolean, work: () => Promise<Value>): Promise<Value> {
    const running = this.#run(name, intent, work);
    this.#underWay.add(running);
    const over = (): boolean => this.#underWay.delete(running);
    running.then(over, over);
    return running;
  }

  /** Resolves when no step is under way; whoever calls it has aborted the signal, so that none begins. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #run<Value extends Json>(name: string, intent: boolean, work: () => Promise<Value>): Promise<Value> {
    if (this.#used.has(name)) throw new FafnirError('JOURNAL_MISMATCH', `two steps are named ${name}`);
    this.#used.add(name);
    const known = this.#journal.result(name);
    // The operation's version is pinned, so the value was written by the same code that now reads it.
    if (known !== undefined) return known as Value;
    const value = await this.retry(async () => {
      if (intent) await this.#journal.intend(name);
      return work();
    });
    await (intent ? this.#journal.record(name, value) : this.#journal.recordBehind(name, value));
    return value;
  }

  /** See `OperationContext.retry`. */
  async retry<Value>(work: () => Promise<Value>): Promise<Value> {
    for (let attempt = 1; ; attempt += 1) {
      this.#signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        const again = FafnirError.is(error) && error.retryable && attempt < ATTEMPTS;
        if (!again) throw error;
        await this.#clock.sleep(FIRST_PAUSE * 4 ** (attempt - 1), { signal: this.#signal });
      }
    }
  }
}
