import type { Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from './resource-graph.ts';

/** The part of a graph that can stand alone: what was chosen, and all that it depends on. */
export interface Closure {
  /** Positions of the part, ascending. */
  readonly positions: Uint32Array;
  /** Those of them that were not chosen, ascending: what a partial restore brings along. */
  readonly added: Uint32Array;
}

const OUTSIDE = 0;
const ADDED = 1;
const CHOSEN = 2;

/**
 * What is chosen with all it depends on; a key that is not in the graph is `NOT_FOUND`. What only resources depend on
 * that something else stands for stays out: the other has dependencies of its own.
 */
export function closure(
  graph: ResourceGraph,
  chosen: readonly ResourceKey[],
  hasStandIn: (resource: Resource) => boolean = () => false,
): Closure {
  const marks = new Uint8Array(graph.resources.length);
  for (const key of chosen) {
    const position = graph.position(key);
    if (position === undefined) {
      throw new FafnirError('NOT_FOUND', `no such resource in the graph: ${describeKey(key)}`);
    }
    marks[position] = CHOSEN;
  }
  // Backwards, every dependant comes before what it depends on, so that one pass reaches everything.
  for (let at = graph.order.length - 1; at >= 0; at -= 1) {
    const position = graph.order[at] ?? 0;
    const resource = graph.resources[position];
    if (marks[position] === OUTSIDE || resource === undefined || hasStandIn(resource)) continue;
    for (const dependency of graph.dependencies(position)) {
      if (marks[dependency] === OUTSIDE) marks[dependency] = ADDED;
    }
  }
  const positions = Uint32Array.from(marks, (_, position) => position);
  return {
    positions: positions.filter((position) => marks[position] !== OUTSIDE),
    added: positions.filter((position) => marks[position] === ADDED),
  };
}
