const BUCKETS = 256;
const PRIME = 31;
const TAIL = 8;

/**
 * A map by name that grows evenly: a `Map` of some hundred thousand entries stalls the event loop for tens of
 * milliseconds each time that it doubles.
 */
export class NameMap<Value> {
  readonly #buckets: (Map<string, Value> | undefined)[] = [];

  /** The value of a name, or undefined. */
  get(name: string): Value | undefined {
    return this.#buckets[bucketOf(name)]?.get(name);
  }

  /** Sets the value of a name; true where it had none. */
  set(name: string, value: Value): boolean {
    const at = bucketOf(name);
    const bucket = this.#buckets[at] ?? new Map<string, Value>();
    this.#buckets[at] = bucket;
    const { size } = bucket;
    return bucket.set(name, value).size > size;
  }

  /** All entries, in no promised order. */
  *entries(): Generator<[name: string, value: Value]> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket;
  }
}

// By the end of the name, where names of steps differ.
function bucketOf(name: string): number {
  let hash = 0;
  for (let at = Math.max(0, name.length - TAIL); at < name.length; at += 1) {
    hash = (hash * PRIME + name.charCodeAt(at)) % BUCKETS;
  }
  return hash;
}
