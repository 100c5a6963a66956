import { createHash } from 'node:crypto';
import type { AuditEntry, CallOptions, Clock, Json } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { pauseAfter, type StepPolicies, type StepPolicy, stepPolicy } from '../policy/step-policy.ts';
import { Attempts, type Settle } from './attempts.ts';
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
    return observed((settle) => {
      const step = this.#begin(name, input);
      // The operation's version is pinned, so the value was written by the same code that now reads it.
      if (step.value === undefined) this.#step(step, work, settle);
      else settle.resolve(step.value as Value);
    });
  }

  // By callbacks: large graphs have some hundred thousand such steps, nearly all of which are over at once.
  #step<Value extends Json>(
    step: JournaledStep,
    work: (call: CallOptions) => Promise<Value>,
    { resolve, reject }: Settle<Value>,
  ): void {
    this.#underWay += 1;
    const fail = (error: unknown): void => {
      this.#end();
      reject(error);
    };
    const end = (value: Value): void => {
      this.#end();
      resolve(value);
    };
    const record = (value: Value): void => {
      try {
        const written = this.#journal.recordBehind(step, value);
        if (written === undefined) end(value);
        else written.then(() => end(value), fail);
      } catch (error) {
        fail(error);
      }
    };
    this.#attempt(step.name, this.#policyOf(step.name), work, { resolve: record, reject: fail }, 1);
  }

  /** See `OperationContext.effect`: the intent is durable before, the result after. */
  effect<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    input?: Json,
  ): Promise<Value> {
    return observed(({ resolve, reject }) => {
      this.#effect(this.#begin(name, input), work, () => undefined).then(resolve, reject);
    });
  }

  /** See `OperationContext.toldEffect`. */
  toldEffect<Value extends Json>(
    name: string,
    work: (call: CallOptions) => Promise<Value>,
    tell: (value: Value) => AuditEntry,
  ): Promise<Value> {
    return observed(({ resolve, reject }) => {
      this.#effect(this.#begin(name, undefined), work, tell).then(resolve, reject);
    });
  }

  async #effect<Value extends Json>(
    step: JournaledStep,
    work: (call: CallOptions) => Promise<Value>,
    tell: (value: Value) => AuditEntry | undefined,
  ): Promise<Value> {
    if (step.value !== undefined) return step.value as Value;
    this.#underWay += 1;
    try {
      this.#signal.throwIfAborted();
      await this.#journal.intend(step);
      const value = await this.retry(step.name, work);
      await this.#journal.record(step, value, tell(value));
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
  retry<Value>(name: string, work: (call: CallOptions) => Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) =>
      this.#attempt(name, this.#policyOf(name), work, { resolve, reject }, 1),
    );
  }

  #attempt<Value>(
    name: string,
    policy: StepPolicy,
    work: (call: CallOptions) => Promise<Value>,
    settle: Settle<Value>,
    number: number,
  ): void {
    try {
      this.#signal.throwIfAborted();
      this.#assertHeld();
    } catch (error) {
      settle.reject(error);
      return;
    }
    const failed = (error: unknown): void => {
      if (!FafnirError.is(error) || !error.retryable || number >= policy.attempts) {
        settle.reject(error);
        return;
      }
      const { clock, random } = this.#settings;
      const pause = pauseAfter(number, policy, random(), error.retryAfterMilliseconds);
      const again = (): void => this.#attempt(name, policy, work, settle, number + 1);
      clock.sleep(pause, { signal: this.#signal }).then(again, settle.reject);
    };
    this.#attempts.run(name, policy.timeoutMilliseconds, work, { resolve: settle.resolve, reject: failed });
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
function observed<Value>(run: (settle: Settle<Value>) => void): Promise<Value> {
  const { promise, resolve, reject: rejectPromise } = Promise.withResolvers<Value>();
  const reject = (error: unknown): void => {
    promise.catch(() => undefined);
    rejectPromise(error);
  };
  try {
    run({ resolve, reject });
  } catch (error) {
    reject(error);
  }
  return promise;
}
