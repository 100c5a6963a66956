const WORD_BITS = 32;
const WORD_SHIFT = 5;
const WORD_MASK = WORD_BITS - 1;

/**
 * A set of numbers below `size` that gives up its lowest. A bitmap with a bitmap of its non-empty words above it, and
 * so on: each call costs at most the logarithm of `size` to base 32, and the whole is about `size / 7.75` bytes.
 */
export class ReadyQueue {
  readonly #levels: readonly Uint32Array[];
  #length = 0;

  constructor(size: number) {
    const levels: Uint32Array[] = [];
    let words = size;
    do {
      words = Math.ceil(words / WORD_BITS);
      levels.push(new Uint32Array(words));
    } while (words > 1);
    this.#levels = levels;
  }

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  /** Adds a number that is not there. */
  add(number: number): void {
    this.#length += 1;
    let at = number;
    for (const level of this.#levels) {
      const word = at >>> WORD_SHIFT;
      const before = level[word] ?? 0;
      level[word] = before | (1 << (at & WORD_MASK));
      if (before !== 0) return;
      at = word;
    }
  }

  /** Removes the lowest number and returns it; -1 where there is none. */
  take(): number {
    if (this.#length === 0) return -1;
    this.#length -= 1;
    let at = 0;
    for (let depth = this.#levels.length - 1; depth >= 0; depth -= 1) {
      at = (at << WORD_SHIFT) | lowestBit(this.#levels[depth]?.[at] ?? 0);
    }
    this.#clear(at);
    return at;
  }

  #clear(number: number): void {
    let at = number;
    for (const level of this.#levels) {
      const word = at >>> WORD_SHIFT;
      const after = (level[word] ?? 0) & ~(1 << (at & WORD_MASK));
      level[word] = after;
      if (after !== 0) return;
      at = word;
    }
  }
}

/** The index of the lowest bit that is set. */
export const lowestBit = (word: number): number => WORD_MASK - Math.clz32(word & -word);
