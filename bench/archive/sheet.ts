import type { Cost } from './programs.ts';

/** What can be told of a run. */
export type Measure = 'seconds' | 'cpu' | 'peak';

/** The numbers of one round. */
export class Sheet {
  readonly #round: number;
  readonly #values = new Map<string, number>();

  constructor(round: number) {
    this.#round = round;
  }

  /** Enters what a run took, and says so: a bench of this length should show that it lives. */
  enter(operation: string, contender: string, { seconds, cpu, peak }: Cost): void {
    for (const [measure, value] of Object.entries({ seconds, cpu, peak })) {
      this.set(`${operation}/${contender}/${measure}`, value);
    }
    const told = `${seconds.toFixed(2)} s, CPU ${cpu.toFixed(2)} s, ${peak.toFixed(0)} MiB`;
    console.error(`round ${this.#round + 1}: ${operation}, ${contender}: ${told}`);
  }

  /** Enters a number. */
  set(name: string, value: number): void {
    this.#values.set(name, value);
  }

  /** A number that was entered. */
  get(name: string): number {
    const value = this.#values.get(name);
    if (value === undefined) throw new Error(`${name} was not measured`);
    return value;
  }

  /** A number that tells of a run. */
  of(operation: string, contender: string, measure: Measure): number {
    return this.get(`${operation}/${contender}/${measure}`);
  }

  /** Does work for each, beginning with another one in each round and operation: none has the quieter moments. */
  async inTurns<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
    const first = (this.#round + this.#values.size) % items.length;
    for (const item of [...items.slice(first), ...items.slice(0, first)]) await work(item);
  }
}
