const BUCKETS = 256;
const PRIME = 31;
const TAIL = 8;

/**
 * A set of names that grows evenly: a `Set` of some hundred thousand stalls the event loop for tens of milliseconds
 * each time that it doubles.
 */
export class StepNames {
  readonly #buckets = new Map<number, Set<string>>();

  /** Adds a name; false where it is there already. */
  add(name: string): boolean {
    const key = bucketOf(name);
    const bucket = this.#buckets.get(key) ?? new Set();
    if (bucket.has(name)) return false;
    this.#buckets.set(key, bucket.add(name));
    return true;
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
