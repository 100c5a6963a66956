/** Something that failed in a walk. */
export interface WalkFailure {
  /** The phase. */
  readonly phase: string;
  /** Positions of the resources: one, or the members of a group. */
  readonly positions: readonly number[];
  /** What the phase threw. */
  readonly error: unknown;
}

/**
 * How a walk ended for one resource.
 * - `done`: all of its parts were done, or it had none.
 * - `failed`: one of its parts failed; this is the first that did.
 * - `skipped`: parts were left out because it depends on the resource at `because`, which had failed. Of several such
 *   the first to fail, of those that failed at once the lowest.
 * - `stopped`: parts were left out or given up because the walk was cancelled or something else failed; `passed` is
 *   the latest phase that did its part, null where none did.
 */
export type ResourceOutcome =
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly failure: WalkFailure }
  | { readonly state: 'skipped'; readonly because: number }
  | { readonly state: 'stopped'; readonly passed: string | null };

/** How a walk ended. Keeps 12 bytes a resource, and the failures. */
export interface WalkResult {
  /** How many resources there are of each state. */
  readonly counts: Readonly<Record<ResourceOutcome['state'], number>>;
  /** All that failed, in the order it did: also a second failure of a resource, in a phase that ends another. */
  readonly failures: readonly WalkFailure[];
  /** How it ended for the resource at a position. */
  outcome(position: number): ResourceOutcome;
}

/** What a walk wrote down. */
export interface WalkRecords {
  /** The names of the phases. */
  readonly phases: readonly string[];
  /** For each position the parts that it has, a bit for each phase. */
  readonly takes: Uint32Array;
  /** For each position the parts that were done. */
  readonly done: Uint32Array;
  /** For each position what kept it from going on, as a position + 1: its own when it failed; 0 for nothing. */
  readonly hindered: Uint32Array;
  /** All failures, in order. */
  readonly failures: readonly WalkFailure[];
}

/** Reads how a walk ended from what it wrote down. */
export function resultOf({ phases, takes, done, hindered, failures }: WalkRecords): WalkResult {
  const firstFailures = new Map<number, WalkFailure>();
  for (const failure of failures) {
    for (const position of failure.positions) {
      if (!firstFailures.has(position)) firstFailures.set(position, failure);
    }
  }
  const outcome = (position: number): ResourceOutcome => {
    const failure = firstFailures.get(position);
    if (failure !== undefined) return { state: 'failed', failure };
    if (done[position] === takes[position]) return { state: 'done' };
    const cause = hindered[position] ?? 0;
    if (cause !== 0) return { state: 'skipped', because: cause - 1 };
    return { state: 'stopped', passed: phases[highestBit(done[position] ?? 0)] ?? null };
  };
  const counts = { done: 0, failed: 0, skipped: 0, stopped: 0 };
  for (let position = 0; position < takes.length; position += 1) counts[outcome(position).state] += 1;
  return { counts, failures, outcome };
}

// -1 where none is set.
const highestBit = (word: number): number => 31 - Math.clz32(word);
