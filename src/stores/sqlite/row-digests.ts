const SHARDS = 64;
// So few that V8 keeps the words within its heap.
const FIRST_CAPACITY = 8;

/** A digest has two words, side by side in the slots; the second is 0 in an empty slot. */
type Shard = { readonly slots: Uint32Array; filled: number };

/**
 * Tells which journal rows are surely new, at about 16 bytes a row: a set of names costs ten times as much, and its
 * doubling stalls the event loop. A row that seems to be known has to be looked up, for digests may be equal by
 * chance, once in billions.
 */
export class RowDigests {
  // Most jobs have a few rows, and need a few shards.
  readonly #shards: (Shard | undefined)[] = [];

  /** Adds a row; false where it may have been added before. */
  add(kind: string, step: string): boolean {
    let high = Math.imul(kind.charCodeAt(0), 0x9e3779b1);
    let low = Math.imul(kind.charCodeAt(0) + step.length, 0xc2b2ae35);
    for (let at = 0; at < step.length; at += 1) {
      const code = step.charCodeAt(at);
      high = Math.imul(high ^ code, 0x01000193);
      low = Math.imul(low ^ code, 0x85ebca6b) ^ (low >>> 15);
    }
    return this.#insert((high ^ (high >>> 13)) >>> 0, (low ^ (low >>> 11)) >>> 0 || 1);
  }

  #insert(high: number, low: number): boolean {
    const at = high % SHARDS;
    let shard = this.#shards[at] ?? { slots: new Uint32Array(2 * FIRST_CAPACITY), filled: 0 };
    // At most half of the slots are filled, and each has two words.
    if (shard.filled * 4 >= shard.slots.length) shard = grown(shard);
    this.#shards[at] = shard;
    if (!insert(shard.slots, high, low)) return false;
    shard.filled += 1;
    return true;
  }
}

function grown({ slots, filled }: Shard): Shard {
  const larger = new Uint32Array(slots.length * 2);
  for (let at = 0; at < slots.length; at += 2) {
    const low = slots[at + 1] ?? 0;
    if (low !== 0) insert(larger, slots[at] ?? 0, low);
  }
  return { slots: larger, filled };
}

// The number of words is a power of two.
function insert(slots: Uint32Array, high: number, low: number): boolean {
  const mask = slots.length - 2;
  for (let at = (low << 1) & mask; ; at = (at + 2) & mask) {
    if (slots[at + 1] === 0) {
      slots[at] = high;
      slots[at + 1] = low;
      return true;
    }
    if (slots[at] === high && slots[at + 1] === low) return false;
  }
}
