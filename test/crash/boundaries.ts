import { say } from './messages.ts';

/** Where a process strikes itself, and how. */
export interface Strike {
  /** The boundary: its place, or its number, the first being 1. */
  readonly at: string | number;
  /** `SIGKILL` is death; `SIGSTOP` lasts until somebody sends SIGCONT. */
  readonly signal: 'SIGKILL' | 'SIGSTOP';
  /** Whether the call that it stops before is made as if it had been on its way already. */
  readonly late?: boolean;
}

/**
 * Counts, over all ports of a process, the moments before a call and after it, and those at which a program has been
 * started or a request was sent. The place of such a boundary is its call and time, such as `bank.put commits before`, with `#2` and so on where that was not the first. Numbers shift when
 * calls beside each other end in another order; places hardly do. Calls that come by the clock rather than by the work
 * are left out.
 */
export class Boundaries {
  /** The places of all boundaries so far, in order. */
  readonly places: string[] = [];
  readonly #strike: Strike | undefined;
  readonly #byTheClock: readonly string[];
  readonly #triggers = new Map<string, () => void>();
  readonly #counts = new Map<string, number>();
  #counting = false;

  constructor(of: { readonly strike?: Strike | undefined; readonly byTheClock: readonly string[] }) {
    this.#strike = of.strike;
    this.#byTheClock = of.byTheClock;
  }

  /** Counts from now on. */
  begin(): void {
    this.#counting = true;
  }

  /** Does something when a place is reached, before the process strikes itself there. */
  when(place: string, trigger: () => void): void {
    this.#triggers.set(place, trigger);
  }

  /** Passes a boundary, if this process lives on. True where the call is to be late. */
  cross(call: string, time: 'before' | 'after' | 'started' | 'sent'): boolean {
    if (!this.#counting || this.#byTheClock.includes(call)) return false;
    const label = `${call} ${time}`;
    const count = (this.#counts.get(label) ?? 0) + 1;
    this.#counts.set(label, count);
    const place = count === 1 ? label : `${label}#${count}`;
    const number = this.places.push(place);
    this.#triggers.get(place)?.();
    if (this.#strike?.at !== number && this.#strike?.at !== place) return false;
    say({ type: 'struck', number, place });
    process.kill(process.pid, this.#strike.signal);
    return this.#strike.late === true;
  }
}
