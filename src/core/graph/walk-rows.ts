import { fillRows, type ResourceGraph, rowStarts } from './resource-graph.ts';

// Reading rows through the graph's methods would make an object for each: a quarter of the time of a whole walk.

/** The edges of a graph in one direction: those of position p are `targets[starts[p]]` up to `starts[p + 1]`. */
export interface Rows {
  /** One more than there are positions. */
  readonly starts: Uint32Array;
  /** Positions at the other ends. */
  readonly targets: Uint32Array;
}

/** What each resource depends on. */
export function dependencyRows({ resources, edges: { from, to } }: ResourceGraph): Rows {
  return { starts: rowStarts(from, resources.length), targets: to };
}

/** What depends on each resource. */
export function dependantRows({ resources, edges: { from, to } }: ResourceGraph): Rows {
  const starts = rowStarts(to, resources.length);
  return { starts, targets: fillRows(starts, to, from) };
}

/** Positions in the order in which to begin, and where in it each stands. */
export interface Ranks {
  /** The rank of each position. */
  readonly ofPosition: Uint32Array;
  /** The position of each rank. */
  readonly toPosition: Uint32Array;
}

/**
 * Ranks by the longest way that the edges of `rows` lead on, longest first, then by position. `order` has every
 * position after all that its edges lead to.
 */
export function longestFirst({ starts, targets }: Rows, order: Iterable<number>, count: number): Ranks {
  const heights = new Uint32Array(count);
  let highest = 0;
  for (const position of order) {
    let height = 0;
    for (let at = starts[position] ?? 0, end = starts[position + 1] ?? 0; at < end; at += 1) {
      height = Math.max(height, (heights[targets[at] ?? 0] ?? 0) + 1);
    }
    heights[position] = height;
    highest = Math.max(highest, height);
  }
  const next = new Uint32Array(highest + 2);
  for (const height of heights) next[highest - height + 1] = (next[highest - height + 1] ?? 0) + 1;
  for (let at = 0; at <= highest; at += 1) next[at + 1] = (next[at + 1] ?? 0) + (next[at] ?? 0);
  const ofPosition = heights;
  const toPosition = new Uint32Array(count);
  for (let position = 0; position < count; position += 1) {
    const row = highest - (heights[position] ?? 0);
    const rank = next[row] ?? 0;
    next[row] = rank + 1;
    ofPosition[position] = rank;
    toPosition[rank] = position;
  }
  return { ofPosition, toPosition };
}
