import type { DependencyEdges, Resource, ResourceKey } from '../contracts/index.ts';
import { type EdgeColumns, fillRows, type GraphGaps, ResourceGraph, rowStarts } from './resource-graph.ts';
import { PositionTable } from './position-table.ts';
import { sortPositions } from './sort-positions.ts';

const FIRST_EDGES = 64;
const SHORT_ROW = 16;

/**
 * Collects resources and edges as they come in, each once, and makes a graph of them. Numbers are by order of arrival;
 * positions in the graph come with it. Nothing is allocated for an edge, and for a resource its place in a table.
 */
export class GraphBuilder {
  #resources: Resource[] = [];
  #table = new PositionTable(this.#resources);
  #from = new Uint32Array(FIRST_EDGES);
  #to = new Uint32Array(FIRST_EDGES);
  #edges = 0;

  /** How many resources there are; the number that the next new one gets. */
  get size(): number {
    return this.#resources.length;
  }

  /** The resource of a number. */
  resource(number: number): Resource | undefined {
    return this.#resources[number];
  }

  /** The number of a resource, or -1 where it has not come in. */
  find(key: ResourceKey): number {
    return this.#table.find(key);
  }

  /** The number of a resource, which is added where it is new: the first one to come in stays. */
  add(resource: Resource): number {
    const number = this.#table.findOrAdd(resource, this.#resources.length);
    if (number === this.#resources.length) this.#resources.push(resource);
    return number;
  }

  /** Adds an edge between numbers. */
  connect(from: number, to: number): void {
    if (this.#edges === this.#from.length) {
      this.#from = doubled(this.#from);
      this.#to = doubled(this.#to);
    }
    this.#from[this.#edges] = from;
    this.#to[this.#edges] = to;
    this.#edges += 1;
  }

  /**
   * Adds the edges of an answer: `sources` and `targets` are the numbers of the batch and of the answer's resources,
   * -1 for a target that stays out. False where an edge points at neither.
   */
  connectAll(sources: ArrayLike<number>, targets: ArrayLike<number>, { from, to }: DependencyEdges): boolean {
    for (let edge = 0; edge < from.length; edge += 1) {
      const source = sources[from[edge] ?? -1];
      const target = targets[to[edge] ?? -1];
      if (source === undefined || target === undefined) return false;
      if (target !== -1) this.connect(source, target);
    }
    return true;
  }

  /** The graph of all that came in; the builder is empty afterwards. A cycle is refused with `CYCLE`. */
  build(gaps: Partial<GraphGaps> = {}): ResourceGraph {
    const resources = this.#resources;
    const edges = { from: this.#from.subarray(0, this.#edges), to: this.#to.subarray(0, this.#edges) };
    // Dropped before the columns of the graph are made, which are as large.
    this.#resources = [];
    this.#table = new PositionTable(this.#resources);
    this.#from = new Uint32Array(FIRST_EDGES);
    this.#to = new Uint32Array(FIRST_EDGES);
    this.#edges = 0;
    const order = orderOf(resources);
    const ranks = new Uint32Array(order.length);
    const sorted: Resource[] = [];
    for (let rank = 0; rank < order.length; rank += 1) {
      const number = order[rank] ?? 0;
      const resource = resources[number];
      if (resource !== undefined) sorted.push(resource);
      ranks[number] = rank;
    }
    return new ResourceGraph(sorted, sortedEdges(edges, ranks), gaps);
  }
}

function doubled(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * column.length);
  larger.set(column);
  return larger;
}

/** Numbers in ascending order of (type, id). */
function orderOf(resources: readonly Resource[]): Uint32Array {
  const starts = new Map<string, number>();
  const typeOf = (number: number): string => resources[number]?.type ?? '';
  // What comes in together is mostly of one type, so that the map is seldom asked.
  for (let number = 0; number < resources.length; ) {
    const [type, first] = [typeOf(number), number];
    while (number < resources.length && typeOf(number) === type) number += 1;
    starts.set(type, (starts.get(type) ?? 0) + number - first);
  }
  let start = 0;
  for (const type of [...starts.keys()].sort()) {
    const count = starts.get(type) ?? 0;
    starts.set(type, start);
    start += count;
  }
  const order = new Uint32Array(resources.length);
  const ends = new Map(starts);
  for (let number = 0; number < resources.length; ) {
    const type = typeOf(number);
    let end = ends.get(type) ?? 0;
    for (; number < resources.length && typeOf(number) === type; number += 1, end += 1) order[end] = number;
    ends.set(type, end);
  }
  const idOf = (number: number): string => resources[number]?.id ?? '';
  for (const [type, first] of starts) sortPositions(order.subarray(first, ends.get(type)), idOf);
  return order;
}

/** Edges between ranks in ascending order, each once. The columns that came in are used up. */
function sortedEdges({ from, to }: EdgeColumns, ranks: Uint32Array): EdgeColumns {
  for (let edge = 0; edge < from.length; edge += 1) {
    from[edge] = ranks[from[edge] ?? 0] ?? 0;
    to[edge] = ranks[to[edge] ?? 0] ?? 0;
  }
  const starts = rowStarts(from, ranks.length);
  const targets = fillRows(starts, from, to);
  for (let row = 0; row < ranks.length; row += 1) {
    const [start = 0, end = 0] = [starts[row], starts[row + 1]];
    sortRow(targets, start, end);
    from.fill(row, start, end);
  }
  return withoutRepeats({ from, to: targets });
}

// Most rows are so short that a call to the general sort would take longer than the sorting.
function sortRow(targets: Uint32Array, start: number, end: number): void {
  if (end - start > SHORT_ROW) {
    targets.subarray(start, end).sort();
    return;
  }
  for (let next = start + 1; next < end; next += 1) {
    const target = targets[next] ?? 0;
    let at = next;
    for (; at > start && (targets[at - 1] ?? 0) > target; at -= 1) targets[at] = targets[at - 1] ?? 0;
    targets[at] = target;
  }
}

function withoutRepeats({ from, to }: EdgeColumns): EdgeColumns {
  let kept = 0;
  for (let edge = 0; edge < from.length; edge += 1) {
    if (kept > 0 && from[kept - 1] === from[edge] && to[kept - 1] === to[edge]) continue;
    from[kept] = from[edge] ?? 0;
    to[kept] = to[edge] ?? 0;
    kept += 1;
  }
  if (kept === from.length) return { from, to };
  return { from: from.slice(0, kept), to: to.slice(0, kept) };
}
