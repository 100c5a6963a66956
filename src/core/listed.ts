/** What was found, of which there may be any number: how many, and the first thousand. */
export type Listed<Item> = {
  /** How many. */
  readonly count: number;
  /** At most the first 1,000. */
  readonly first: readonly Item[];
};

const MOST = 1_000;

/** Lists what is found, in memory that is bounded. */
export class Lister<Item> {
  #count = 0;
  readonly #first: Item[] = [];

  /** Adds what was found. */
  add(item: Item): void {
    this.#count += 1;
    if (this.#first.length < MOST) this.#first.push(item);
  }

  /** All so far. */
  list(): Listed<Item> {
    return { count: this.#count, first: [...this.#first] };
  }
}
