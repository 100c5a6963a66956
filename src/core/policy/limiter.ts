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
  /** The lines of its rank, and the one of them that it stands in. */
  readonly lines: Lines;
  readonly line: string;
  /** How often another of its rank took the last place that it needs, while it had waited longest of them. */
  passed: number;
  readonly start: () => void;
}

/** Those that wait under the same limits, in order. No line is empty. */
type Lines = Map<string, Set<Waiter>>;

// More keep places busy that the longest waiter cannot use yet, fewer let it start sooner.
const PASSES = 16;

/**
 * Counts calls under any number of names, and lets a call wait until there is room under all of its names. It takes
 * all of its places at once and holds none while it waits, so that calls cannot wait for each other.
 *
 * Fair among calls of one rank, urgent or ordinary: those with the same limits start in the order they came; of others
 * with room the one that waited longest starts first, passing those whose limits are reached, so that a tenant's backlog
 * does not keep others from an array. When the one that has waited longest has been passed 16 times by a call that took
 * the last place under one of its names, the next last places are kept for it.
 *
 * Urgent calls are under every limit too, but no place is kept from them for an ordinary one, and no ordinary call starts
 * while an urgent one waits that shares a name with it, whatever else that one waits for. So an urgent call waits for
 * calls that were under way when it came, and for other urgent ones.
 *
 * No urgent call waits for ever, and no ordinary one once urgent calls stop coming. While they do not, an ordinary one may
 * that shares a name with them, or with such a one for which places are kept.
 */
export class Limiter {
  // Only names with calls under way.
  readonly #running = new Map<string, number>();
  readonly #urgent: Lines = new Map();
  readonly #ordinary: Lines = new Map();
  // Names that an urgent call waits for.
  #wanted: ReadonlySet<string> = new Set();
  #arrivals = 0;

  /** Names and lines that are kept: 0 when nothing runs and nothing waits. */
  get size(): number {
    return this.#running.size + this.#urgent.size + this.#ordinary.size + this.#wanted.size;
  }

  /**
   * Does the work when there is room under every one of the names, which are distinct; `urgent` before all calls that
   * are not. Aborted while it waits, it rejects with the signal's reason. The work must not wait for another `run` of
   * this limiter: that would be to hold places and wait.
   */
  async run<Result>(
    limits: readonly CallLimit[],
    work: () => Promise<Result>,
    { signal, urgent = false }: CallOptions & { readonly urgent?: boolean },
  ): Promise<Result> {
    assertLimits(limits);
    signal.throwIfAborted();
    const lines = urgent ? this.#urgent : this.#ordinary;
    const longest = longestIn(lines);
    if (this.#admits(limits, lines, longest)) this.#take(limits, longest);
    else await this.#turn(limits, lines, signal);
    try {
      // Its turn may have come in the same moment as the abort.
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#release(limits);
    }
  }

  // Resolves with the places taken.
  #turn(limits: readonly CallLimit[], lines: Lines, signal: AbortSignal): Promise<void> {
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
      const waiter = { arrival: this.#arrivals++, limits, lines, line, passed: 0, start };
      lines.set(line, (lines.get(line) ?? new Set()).add(waiter));
      if (lines === this.#urgent) this.#wanted = namesIn(lines);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #leaveLine(waiter: Waiter): void {
    const { lines } = waiter;
    const line = lines.get(waiter.line);
    line?.delete(waiter);
    if (line?.size === 0) lines.delete(waiter.line);
    if (lines === this.#urgent) this.#wanted = namesIn(lines);
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
    this.#startFrom(this.#urgent);
    this.#startFrom(this.#ordinary);
  }

  #startFrom(lines: Lines): void {
    while (lines.size > 0) {
      const longest = longestIn(lines);
      let next: Waiter | undefined;
      for (const [head] of lines.values()) {
        if (head === undefined || (next !== undefined && next.arrival < head.arrival)) continue;
        if (this.#admits(head.limits, lines, head === longest ? undefined : longest)) next = head;
      }
      if (next === undefined) return;
      this.#leaveLine(next);
      this.#take(next.limits, next === longest ? undefined : longest);
      next.start();
    }
  }

  // The longest is the other one of the same rank that has waited longest.
  #admits(limits: readonly CallLimit[], lines: Lines, longest: Waiter | undefined): boolean {
    if (limits.some(({ name, limit }) => this.#count(name) >= limit)) return false;
    if (this.#wanted.size > 0 && lines === this.#ordinary) {
      if (limits.some(({ name }) => this.#wanted.has(name))) return false;
    }
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

function longestIn(lines: Lines): Waiter | undefined {
  if (lines.size === 0) return undefined;
  let longest: Waiter | undefined;
  for (const [head] of lines.values()) {
    if (head !== undefined && (longest === undefined || head.arrival < longest.arrival)) longest = head;
  }
  return longest;
}

const namesIn = (lines: Lines): ReadonlySet<string> =>
  new Set([...lines.values()].flatMap(([head]) => head?.limits.map(({ name }) => name) ?? []));

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
