import { createHash } from 'node:crypto';
import type { CallOptions, Clock, Json } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { pauseAfter, type StepPolicies, stepPolicy } from '../policy/step-policy.ts';
import type { Journal } from './journal.ts';

// How long a plugin may go on after its signal was aborted before it is no longer waited for.
const GRACE = 5_000;

/** What steps are run with. */
export interface StepSettings {
  /** The time. */
  readonly clock: Clock;
  /** Chance, from 0 to 1. */
  random(): number;
  /** What differs from the usual policies. */
  readonly policies: StepPolicies;
}

/** Runs steps against a journal, and knows which are under way. */
export class Steps {
  readonly #journal: Journal;
  readonly #settings: StepSettings;
  readonly #signal: AbortSignal;
  readonly #assertHeld: () => void;
  // A second step of a name would be given the first one's result.
  readonly #used = new Set<string>();
  readonly #underWay = new Set<Promise<unknown>>();

  /** `assertHeld` throws when this worker may no longer act. */
  constructor(journal: Journal, settings: StepSettings, signal: AbortSignal, assertHeld: () => void) {
    this.#assertHeld = assertHeld;
    this.#journal = journal;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** See `OperationContext.step` and, with `intent`, `OperationContext.effect`. */
  run<Value extends Json>(
    name: string,
    { intent, input }: { readonly intent: boolean; readonly input: Json | undefined },
    work: (call: CallOptions) => Promise<Value>,
  ): Promise<Value> {
    const running = this.#run(name, intent, input === undefined ? undefined : digestOf(input), work);
    this.#underWay.add(running);
    const over = (): boolean => this.#underWay.delete(running);
    running.then(over, over);
    return running;
  }

  /** Resolves when no step is under way; whoever calls it has aborted the signal, so that none begins. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #run<Value extends Json>(
    name: string,
    intent: boolean,
    input: string | undefined,
    work: (call: CallOptions) => Promise<Value>,
  ): Promise<Value> {
    if (this.#used.has(name)) throw new FafnirError('JOURNAL_MISMATCH', `two steps are named ${name}`);
    this.#used.add(name);
    this.#journal.check(name, input);
    const known = this.#journal.result(name);
    // The operation's version is pinned, so the value was written by the same code that now reads it.
    if (known !== undefined) return known as Value;
    const value = await this.retry(name, async (call) => {
      if (intent) await this.#journal.intend(name, input);
      this.#assertHeld();
      return work(call);
    });
    await (intent
      ? this.#journal.record(name, value, input)
      : this.#journal.recordBehind(name, value, input));
    return value;
  }

  /** See `OperationContext.retry`; the policy is that of steps of this name. */
  async retry<Value>(name: string, work: (call: CallOptions) => Promise<Value>): Promise<Value> {
    const { clock, random, policies } = this.#settings;
    const policy = stepPolicy(name, policies);
    for (let attempt = 1; ; attempt += 1) {
      this.#signal.throwIfAborted();
      try {
        return await this.#inTime(name, policy.timeoutMilliseconds, work);
      } catch (error) {
        if (!FafnirError.is(error) || !error.retryable || attempt >= policy.attempts) throw error;
        const pause = pauseAfter(attempt, policy, random(), error.retryAfterMilliseconds);
        await clock.sleep(pause, { signal: this.#signal });
      }
    }
  }

  async #inTime<Value>(
    name: string,
    timeout: number,
    work: (call: CallOptions) => Promise<Value>,
  ): Promise<Value> {
    if (timeout === 0) return work({ signal: this.#signal });
    const { clock } = this.#settings;
    const over = new AbortController();
    const late = new AbortController();
    const working = work({ signal: AbortSignal.any([this.#signal, late.signal]) });
    const watching = (async (): Promise<never> => {
      await clock.sleep(timeout, over);
      late.abort(new FafnirError('UNAVAILABLE', `${name} took longer than ${timeout} ms`));
      await clock.sleep(GRACE, over);
      throw new FafnirError('PLUGIN_FAILED', `${name} did not end when it was aborted`, {
        cause: late.signal.reason,
      });
    })();
    try {
      return await Promise.race([working, watching]);
    } catch (error) {
      // What an aborted call rejects with is up to the plugin; that it was late is what matters.
      throw late.signal.aborted && !FafnirError.is(error, 'PLUGIN_FAILED') ? late.signal.reason : error;
    } finally {
      over.abort();
      watching.catch(() => undefined);
    }
  }
}

const digestOf = (input: Json): string =>
  createHash('sha256').update(JSON.stringify(input)).digest('hex').slice(0, 32);
