import { say } from './messages.ts';

/** Where a process strikes itself, and how. */
export interface Strike {
  /** The number of the boundary; the first is 1. */
  readonly at: number;
  /** `SIGKILL` is death; `SIGSTOP` lasts until somebody sends SIGCONT. */
  readonly signal: 'SIGKILL' | 'SIGSTOP';
  /** Whether the call that it stops before is made as if it had been on its way already. */
  readonly late?: boolean;
}

/**
 * Counts, over all ports of a process, the moments before a call and after it. Calls that come by the clock rather
 * than by the work are left out, or a number would not mean the same place in another run.
 */
export class Boundaries {
  /** The labels of all boundaries so far, in order. */
  readonly labels: string[] = [];
  readonly #strike: Strike | undefined;
  readonly #byTheClock: readonly string[];
  readonly #triggers = new Map<string, () => void>();
  #counting = false;

  constructor(of: { readonly strike?: Strike | undefined; readonly byTheClock: readonly string[] }) {
    this.#strike = of.strike;
    this.#byTheClock = of.byTheClock;
  }

  /** Counts from now on. */
  begin(): void {
    this.#counting = true;
  }

  /** Does something the first time that a boundary is reached, before the process strikes itself there. */
  once(label: string, trigger: () => void): void {
    this.#triggers.set(label, trigger);
  }

  /** Passes a boundary, if this process lives on. True where the call is to be late. */
  cross(call: string, time: 'before' | 'after'): boolean {
    if (!this.#counting || this.#byTheClock.includes(call)) return false;
    const label = `${call} ${time}`;
    const at = this.labels.push(label);
    const trigger = this.#triggers.get(label);
    this.#triggers.delete(label);
    trigger?.();
    if (this.#strike?.at !== at) return false;
    say({ type: 'struck', at, label });
    process.kill(process.pid, this.#strike.signal);
    return this.#strike.late === true;
  }
}
