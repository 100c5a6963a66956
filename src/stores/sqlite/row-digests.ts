const SHARDS = 64;
const FIRST_CAPACITY = 16;
const LOW_BITS = 21;

type Shard = { slots: Float64Array; filled: number };

/**
 * Tells which journal rows are surely new, at about 16 bytes a row: a set of names costs ten times as much, and its
 * doubling stalls the event loop. A row that seems to be known has to be looked up, for digests may be equal by
 * chance, once in billions.
 */
export class RowDigests {
  readonly #shards: Shard[] = Array.from({ length: SHARDS }, () => ({
    slots: new Float64Array(FIRST_CAPACITY),
    filled: 0,
  }));

  /** Adds a row; false where it may have been added before. */
  add(kind: string, step: string): boolean {
    const digest = digestOf(kind, step);
    const shard = this.#shards[digest % SHARDS];
    if (shard === undefined) throw new RangeError('no such shard');
    if (shard.filled * 2 >= shard.slots.length) grow(shard);
    if (!insert(shard.slots, digest)) return false;
    shard.filled += 1;
    return true;
  }
}

function grow(shard: Shard): void {
  const { slots } = shard;
  shard.slots = new Float64Array(slots.length * 2);
  for (const digest of slots) if (digest !== 0) insert(shard.slots, digest);
}

// The number of slots is a power of two, and 0 is an empty one.
function insert(slots: Float64Array, digest: number): boolean {
  const mask = slots.length - 1;
  for (let at = (digest / SHARDS) & mask; ; at = (at + 1) & mask) {
    const there = slots[at];
    if (there === digest) return false;
    if (there !== 0) continue;
    slots[at] = digest;
    return true;
  }
}

/** 53 bits, never 0. */
function digestOf(kind: string, step: string): number {
  let high = Math.imul(kind.charCodeAt(0), 0x9e3779b1);
  let low = Math.imul(kind.charCodeAt(0) + step.length, 0xc2b2ae35);
  for (let at = 0; at < step.length; at += 1) {
    const code = step.charCodeAt(at);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0x85ebca6b) ^ (low >>> 15);
  }
  high ^= high >>> 13;
  return (high >>> 0) * 2 ** LOW_BITS + ((low ^ (low >>> 11)) >>> (32 - LOW_BITS)) || 1;
}
