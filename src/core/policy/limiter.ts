import type { CallOptions } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';

/** A limit that a call is under. */
export interface CallLimit {
  /** Calls under one name are counted together. */
  readonly name: string;
  /** How many of them this call tolerates under way at once, itself included; at least 1. */
  readonly limit: number;
}

interface Waiter {
  /** Lower for those who came earlier. */
  readonly arrival: number;
  readonly limits: readonly CallLimit[];
  /** The line that it stands in. */
  readonly line: string;
  /** How often another took the last place that it needs, while it was the one who had waited longest. */
  passed: number;
  readonly start: () => void;
}

// More keep places busy that the longest waiter cannot use yet, fewer let it start sooner.
const PASSES = 16;

/**
 * Counts calls under any number of names, and lets a call wait until there is room under all of its names. It takes
 * all of its places at once and holds none while it waits, so that calls cannot wait for each other.
 *
 * Fair: calls with the same limits start in the order they came; of others with room the one that waited longest
 * starts first, passing those whose limits are reached, so that a tenant's backlog does not keep others from an array.
 * None waits for ever: when the one that has waited longest of all has been passed 16 times by a call that took the
 * last place under one of its names, the next last places are kept for it.
 */
export class Limiter {
  // Only names with calls under way.
  readonly #running = new Map<string, number>();
  // Those that wait under the same limits, in order. No line is empty.
  readonly #lines = new Map<string, Set<Waiter>>();
  #arrivals = 0;

  /** Names and lines that are kept: 0 when nothing runs and nothing waits. */
  get size(): number {
    return this.#running.size + this.#lines.size;
  }

  /**
   * Does the work when there is room under every one of the names, which are distinct. Aborted while it waits, it
   * rejects with the signal's reason. The work must not wait for another `run` of this limiter: that would be to hold
   * places and wait.
   */
  async run<Result>(
    limits: readonly CallLimit[],
    work: () => Promise<Result>,
    { signal }: CallOptions,
  ): Promise<Result> {
    assertLimits(limits);
    signal.throwIfAborted();
    const longest = this.#longest();
    if (this.#admits(limits, longest)) this.#take(limits, longest);
    else await this.#turn(limits, signal);
    try {
      // Its turn may have come in the same moment as the abort.
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#release(limits);
    }
  }

  // Resolves with the places taken.
  #turn(limits: readonly CallLimit[], signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#leaveLine(waiter);
        // Places may have been kept for it.
        this.#startWaiters();
        reject(signal.reason);
      };
      const start = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const line = JSON.stringify(limits.map(({ name, limit }) => [name, limit]));
      const waiter = { arrival: this.#arrivals++, limits, line, passed: 0, start };
      this.#lines.set(line, (this.#lines.get(line) ?? new Set()).add(waiter));
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #leaveLine(waiter: Waiter): void {
    const line = this.#lines.get(waiter.line);
    line?.delete(waiter);
    if (line?.size === 0) this.#lines.delete(waiter.line);
  }

  #release(limits: readonly CallLimit[]): void {
    for (const { name } of limits) {
      const left = this.#count(name) - 1;
      if (left === 0) this.#running.delete(name);
      else this.#running.set(name, left);
    }
    this.#startWaiters();
  }

  // Afterwards nobody waits who could start, so that a newcomer who can start passes nobody who could as well.
  #startWaiters(): void {
    while (this.#lines.size > 0) {
      const longest = this.#longest();
      let next: Waiter | undefined;
      for (const [head] of this.#lines.values()) {
        if (head === undefined || !this.#admits(head.limits, head === longest ? undefined : longest))
          continue;
        if (next === undefined || head.arrival < next.arrival) next = head;
      }
      if (next === undefined) return;
      this.#leaveLine(next);
      this.#take(next.limits, next === longest ? undefined : longest);
      next.start();
    }
  }

  #longest(): Waiter | undefined {
    let longest: Waiter | undefined;
    for (const [head] of this.#lines.values()) {
      if (head !== undefined && (longest === undefined || head.arrival < longest.arrival)) longest = head;
    }
    return longest;
  }

  #admits(limits: readonly CallLimit[], longest: Waiter | undefined): boolean {
    if (limits.some(({ name, limit }) => this.#count(name) >= limit)) return false;
    return longest === undefined || longest.passed < PASSES || !this.#takesLast(limits, longest);
  }

  #take(limits: readonly CallLimit[], longest: Waiter | undefined): void {
    if (longest !== undefined && this.#takesLast(limits, longest)) longest.passed += 1;
    for (const { name } of limits) this.#running.set(name, this.#count(name) + 1);
  }

  // Whether a call under these limits leaves the waiter no room under a name that they share.
  #takesLast(limits: readonly CallLimit[], waiter: Waiter): boolean {
    return waiter.limits.some(
      ({ name, limit }) => this.#count(name) + 1 >= limit && limits.some((other) => other.name === name),
    );
  }

  #count(name: string): number {
    return this.#running.get(name) ?? 0;
  }
}

// A limit of 0 would wait for ever, and a name that comes twice would count twice.
function assertLimits(limits: readonly CallLimit[]): void {
  for (const [at, { name, limit }] of limits.entries()) {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new FafnirError('INVALID_OPTIONS', `the limit ${name} must be a whole number from 1 on`);
    }
    if (limits.findIndex((other) => other.name === name) !== at) {
      throw new FafnirError('INVALID_OPTIONS', `the limit ${name} is given twice`);
    }
  }
}
