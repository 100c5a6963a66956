import { CHUNK_ID_BYTES } from '../pack.ts';

const EMPTY = 0;
const SLOTS_PER_CHUNK = 2;
const WORDS = CHUNK_ID_BYTES / 4;

/** What threads pass to each other to share a table. */
export interface SharedChunks {
  /** Ids in the order they were added. */
  readonly ids: SharedArrayBuffer;
  /** One more than an id's number, where its hash says; 0 is empty. */
  readonly slots: SharedArrayBuffer;
  /** How many numbers were given out. */
  readonly counter: SharedArrayBuffer;
}

/**
 * A set of chunk ids that numbers them from 0, for several threads at once, without locks. It takes as many as it was
 * made for; what comes later is not kept, which costs a chunk stored twice and nothing worse. About 40 bytes a chunk, and
 * memory is used only as it fills.
 */
export class ChunkTable {
  /** For another thread. */
  readonly shared: SharedChunks;
  readonly #ids: Uint32Array;
  readonly #slots: Int32Array;
  readonly #counter: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;

  /** A table of another thread, or a new one for this many chunks. */
  constructor(of: SharedChunks | { readonly capacity: number }) {
    this.shared = 'ids' in of ? of : allocate(of.capacity);
    this.#ids = new Uint32Array(this.shared.ids);
    this.#slots = new Int32Array(this.shared.slots);
    this.#counter = new Int32Array(this.shared.counter);
    this.#capacity = this.#ids.length / WORDS;
    this.#mask = this.#slots.length - 1;
  }

  /** How many numbers were given out; some, by threads that added the same id at once, may be of no use. */
  get size(): number {
    return Math.min(Atomics.load(this.#counter, 0), this.#capacity);
  }

  /** The number of an id, or −1. */
  find(id: Uint8Array): number {
    const wanted = wordsOf(id);
    for (let slot = this.#slotOf(wanted); ; slot = (slot + 1) & this.#mask) {
      const held = Atomics.load(this.#slots, slot);
      if (held === EMPTY) return -1;
      if (this.#holds(held - 1, wanted)) return held - 1;
    }
  }

  /** Adds an id; the number it had before, or −1 where it is new or there is no room. */
  add(id: Uint8Array): number {
    const wanted = wordsOf(id);
    let number = -1;
    for (let slot = this.#slotOf(wanted); ; ) {
      const held = Atomics.load(this.#slots, slot);
      if (held !== EMPTY) {
        if (this.#holds(held - 1, wanted)) return held - 1;
        slot = (slot + 1) & this.#mask;
        continue;
      }
      if (number === -1) {
        if (Atomics.load(this.#counter, 0) >= this.#capacity) return -1;
        number = Atomics.add(this.#counter, 0, 1);
        if (number >= this.#capacity) return -1;
        this.#ids.set(wanted, number * WORDS);
      }
      // Whoever sees the slot sees the id that was written before it. If another was first, look at what it holds.
      if (Atomics.compareExchange(this.#slots, slot, EMPTY, number + 1) === EMPTY) return -1;
    }
  }

  #holds(number: number, wanted: Uint32Array): boolean {
    const start = number * WORDS;
    for (let at = 0; at < WORDS; at += 1) if (this.#ids[start + at] !== wanted[at]) return false;
    return true;
  }

  // Ids are as good as random already.
  #slotOf(id: Uint32Array): number {
    return (id[0] ?? 0) & this.#mask;
  }
}

function allocate(capacity: number): SharedChunks {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(1, capacity) * SLOTS_PER_CHUNK));
  return {
    ids: new SharedArrayBuffer(capacity * CHUNK_ID_BYTES),
    slots: new SharedArrayBuffer(slots * 4),
    counter: new SharedArrayBuffer(4),
  };
}

// Ids lie at any offset, and 32-bit views do not.
function wordsOf(id: Uint8Array): Uint32Array {
  if (id.byteOffset % 4 === 0) return new Uint32Array(id.buffer, id.byteOffset, WORDS);
  return new Uint32Array(id.slice().buffer, 0, WORDS);
}
