import type { ResourceGraph } from './resource-graph.ts';

/**
 * Which groups of a walk are held at the same time. A holder is begun before all that it depends on, and ended after
 * it: so whatever group lies below it is dealt with while it is held. For each group its set, named by the lowest group
 * in it. Every holder is in a group, and each position in one at most.
 */
export function holdingSets(
  graph: ResourceGraph,
  groups: readonly (readonly number[])[],
  isHolder: (position: number) => boolean,
): Uint32Array {
  const count = graph.resources.length;
  const groupOf = new Int32Array(count).fill(NONE);
  for (const [group, members] of groups.entries()) for (const position of members) groupOf[position] = group;
  const held = heldPositions(graph, isHolder);
  const leaders = Uint32Array.from(groups, (_, group) => group);
  const leader = (group: number): number => {
    let at = group;
    for (let next = leaders[at] ?? at; next !== at; next = leaders[at] ?? at) {
      leaders[at] = leaders[next] ?? next;
      at = next;
    }
    return at;
  };
  const join = (one: number, other: number): number => {
    if (one === NONE || other === NONE) return Math.max(one, other);
    const [a, b] = [leader(one), leader(other)];
    leaders[Math.max(a, b)] = Math.min(a, b);
    return Math.min(a, b);
  };
  // A group that each position is in or above, all of which are one set where somebody holds them.
  const below = new Int32Array(count).fill(NONE);
  for (const position of graph.order) {
    if (held[position] === 0) continue;
    let group = groupOf[position] ?? NONE;
    for (const dependency of graph.dependencies(position)) group = join(group, below[dependency] ?? NONE);
    below[position] = group;
  }
  return leaders.map((_, group) => leader(group));
}

const NONE = -1;

// Holders, and all that they depend on.
function heldPositions(graph: ResourceGraph, isHolder: (position: number) => boolean): Uint8Array {
  const held = new Uint8Array(graph.resources.length);
  for (let at = graph.order.length - 1; at >= 0; at -= 1) {
    const position = graph.order[at] ?? 0;
    if (held[position] === 0 && !isHolder(position)) continue;
    held[position] = 1;
    for (const dependency of graph.dependencies(position)) held[dependency] = 1;
  }
  return held;
}
