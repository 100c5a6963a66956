import { createHash } from 'node:crypto';
import type { CallOptions, Clock, Json } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { pauseAfter, type StepPolicies, type StepPolicy, stepPolicy } from '../policy/step-policy.ts';
import { Attempts } from './attempts.ts';
import type { JournaledStep, Journal } from './journal.ts';

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
export class Steps implements Disposable {
  readonly #journal: Journal;
  readonly #settings: StepSettings;
  readonly #signal: AbortSignal;
  readonly #assertHeld: () => void;
  readonly #attempts: Attempts;
  readonly #policies = new Map<string, StepPolicy>();
  #underWay = 0;
  #settled: (() => void) | undefined;

  /** `assertHeld` throws when this worker may no longer act. */
  constructor(journal: Journal, settings: StepSettings, signal: AbortSignal, assertHeld: () => void) {
    this.#assertHeld = assertHeld;
    this.#journal = journal;
    this.#settings = settings;
    this.#signal = signal;
    this.#attempts = new Attempts(settings.clock, signal);
  }

  /** Lets go of timers; no step may be under way. */
  [Symbol.dispose](): void {
    this.#attempts[Symbol.dispose]();
  }

  /** See `OperationContext.step`: the result is written behind. */
  step<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input?: Json,
  ): Promise<Value> {
    return observed(this.#step(name, work, input));
  }

  async #step<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input: Json | undefined,
  ): Promise<Value> {
    const step = this.#begin(name, input);
    // The operation's version is pinned, so the value was written by the same code that now reads it.
    if (step.value !== undefined) return step.value as Value;
    this.#underWay += 1;
    try {
      const value = await this.retry(name, work);
      const written = this.#journal.recordBehind(step, value);
      if (written !== undefined) await written;
      return value;
    } finally {
      this.#end();
    }
  }

  /** See `OperationContext.effect`: the intent is durable before, the result after. */
  effect<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input?: Json,
  ): Promise<Value> {
    return observed(this.#effect(name, work, input));
  }

  async #effect<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input: Json | undefined,
  ): Promise<Value> {
    const step = this.#begin(name, input);
    if (step.value !== undefined) return step.value as Value;
    this.#underWay += 1;
    try {
      this.#signal.throwIfAborted();
      await this.#journal.intend(step);
      const value = await this.retry(name, work);
      await this.#journal.record(step, value);
      return value;
    } finally {
      this.#end();
    }
  }

  /** Resolves when no step is under way; whoever calls it has aborted the signal, so that none begins. */
  async settled(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
  }

  /** See `OperationContext.retry`; the policy is that of steps of this name. */
  async retry<Value>(name: string, work: (call: CallOptions) => Promise<Value>): Promise<Value> {
    const policy = this.#policyOf(name);
    for (let attempt = 1; ; attempt += 1) {
      this.#signal.throwIfAborted();
      this.#assertHeld();
      try {
        return await this.#attempts.run(name, policy.timeoutMilliseconds, work);
      } catch (error) {
        if (!FafnirError.is(error) || !error.retryable || attempt >= policy.attempts) throw error;
        const { clock, random } = this.#settings;
        const pause = pauseAfter(attempt, policy, random(), error.retryAfterMilliseconds);
        await clock.sleep(pause, { signal: this.#signal });
      }
    }
  }

  #begin(name: string, input: Json | undefined): JournaledStep {
    return this.#journal.begin(name, this, input === undefined ? undefined : digestOf(input));
  }

  #end(): void {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#settled?.();
  }

  #policyOf(name: string): StepPolicy {
    const end = name.indexOf('/');
    const kind = end < 0 ? name : name.slice(0, end);
    const known = this.#policies.get(kind);
    if (known !== undefined) return known;
    const policy = stepPolicy(kind, this.#settings.policies);
    this.#policies.set(kind, policy);
    return policy;
  }
}

const digestOf = (input: Json): string =>
  createHash('sha256').update(JSON.stringify(input)).digest('hex').slice(0, 32);

// An operation that has failed may never come to wait for a step that it began: that must not end the process.
function observed<Value>(running: Promise<Value>): Promise<Value> {
  running.catch(ignore);
  return running;
}

const ignore = (): void => undefined;
