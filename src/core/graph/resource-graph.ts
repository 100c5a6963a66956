import type { IncompleteResource, Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';

// Longer paths of cycles are shortened in the middle.
const SHOWN_PATH = 20;

/** Edges as two columns: the resource at `from[i]` depends on the one at `to[i]`. */
export interface EdgeColumns {
  /** Positions of dependants. */
  readonly from: Uint32Array;
  /** Positions of what they depend on. */
  readonly to: Uint32Array;
}

/** What discovery left out of a graph; each list ascending by (type, id). */
export interface GraphGaps {
  /** Resources that were met and excluded by choice. */
  readonly excluded: readonly ResourceKey[];
  /** Resources of the graph whose dependencies could not all be read. */
  readonly incomplete: readonly IncompleteResource[];
}

/** A resource's identity as one text, for messages and names. */
export const describeKey = ({ type, id }: ResourceKey): string => joinParts(type, id);

/** The order of positions: by type, then id. */
export const compareKeys = (a: ResourceKey, b: ResourceKey): number =>
  a.type === b.type ? compareText(a.id, b.id) : compareText(a.type, b.type);

const ascend = (keys: readonly ResourceKey[]): boolean =>
  keys.every((key, at) => {
    const before = keys[at - 1];
    return before === undefined || compareKeys(before, key) < 0;
  });

function areEdges(from: ArrayLike<number>, to: ArrayLike<number>, count: number): boolean {
  let [before, beside] = [-1, -1];
  for (let at = 0; at < from.length; at += 1) {
    const [source = -1, target = -1] = [from[at], to[at]];
    const follows = source > before || (source === before && target > beside);
    if (!follows || source >= count || target < 0 || target >= count) return false;
    [before, beside] = [source, target];
  }
  return from.length === to.length;
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * What depends on what: acyclic, each resource once. Positions are by ascending (type, id), so that equal
 * applications have equal graphs. Beside the resources it takes 12 bytes each, and 12 more for each edge.
 */
export class ResourceGraph implements GraphGaps {
  /** The resources by position. */
  readonly resources: readonly Resource[];
  /** All edges, ascending by `from`, then `to`. */
  readonly edges: EdgeColumns;
  /** Positions so that every resource stands after all that it depends on. */
  readonly order: Uint32Array;
  readonly excluded: readonly ResourceKey[];
  readonly incomplete: readonly IncompleteResource[];
  // Compressed rows. The dependencies of position p are edges.to[#starts[p]] up to, not including, #starts[p + 1]; the
  // dependants lie likewise in a column of their own.
  readonly #starts: Uint32Array;
  readonly #dependantStarts: Uint32Array;
  readonly #dependants: Uint32Array;

  /**
   * `resources` and the gaps ascending by (type, id) without repeats, `edges` ascending; a cycle is refused with
   * `CYCLE`.
   */
  constructor(resources: readonly Resource[], edges: EdgeColumns, gaps: Partial<GraphGaps> = {}) {
    this.resources = resources;
    this.edges = edges;
    this.excluded = gaps.excluded ?? [];
    this.incomplete = gaps.incomplete ?? [];
    this.#starts = rowStarts(edges.from, resources.length);
    this.#dependantStarts = rowStarts(edges.to, resources.length);
    this.#dependants = fillRows(this.#dependantStarts, edges.to, edges.from);
    this.order = this.#dependenciesFirst();
  }

  /**
   * A graph from plain columns, as they are stored; `INVALID_OPTIONS` where they are not in the order that the
   * constructor asks for, or an edge points nowhere.
   */
  static from(
    stored: {
      readonly resources: readonly Resource[];
      readonly edges: { readonly from: ArrayLike<number>; readonly to: ArrayLike<number> };
    } & Partial<GraphGaps>,
  ): ResourceGraph {
    const { from, to } = stored.edges;
    const { resources, excluded = [], incomplete = [] } = stored;
    const lists = [resources, excluded, incomplete.map((one) => one.resource)];
    if (!lists.every(ascend) || !areEdges(from, to, resources.length)) {
      throw new FafnirError('INVALID_OPTIONS', 'a graph is out of order, or has edges that point nowhere');
    }
    return new ResourceGraph(stored.resources, { from: asColumn(from), to: asColumn(to) }, stored);
  }

  /** Positions of what the resource at `position` depends on directly, ascending. */
  dependencies(position: number): Uint32Array {
    return this.edges.to.subarray(this.#starts[position], this.#starts[position + 1]);
  }

  /** Positions of what depends directly on the resource at `position`, ascending. */
  dependants(position: number): Uint32Array {
    return this.#dependants.subarray(this.#dependantStarts[position], this.#dependantStarts[position + 1]);
  }

  /** Where a resource is, or undefined where it is not part of the graph. */
  position(key: ResourceKey): number | undefined {
    let [low, high] = [0, this.resources.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const resource = this.resources[middle];
      const side = resource === undefined ? 0 : compareKeys(resource, key);
      if (side === 0) return middle;
      if (side < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  #dependenciesFirst(): Uint32Array {
    const count = this.resources.length;
    const starts = this.#starts;
    const waiting = new Uint32Array(count);
    const order = new Uint32Array(count);
    let filled = 0;
    for (let at = 0; at < count; at += 1) {
      const dependencies = (starts[at + 1] ?? 0) - (starts[at] ?? 0);
      waiting[at] = dependencies;
      if (dependencies === 0) order[filled++] = at;
    }
    for (let next = 0; next < filled; next += 1) {
      const done = order[next] ?? 0;
      const end = this.#dependantStarts[done + 1] ?? 0;
      for (let slot = this.#dependantStarts[done] ?? 0; slot < end; slot += 1) {
        const dependant = this.#dependants[slot] ?? 0;
        const left = (waiting[dependant] ?? 0) - 1;
        waiting[dependant] = left;
        if (left === 0) order[filled++] = dependant;
      }
    }
    if (filled < count) throw this.#cycle(waiting);
    return order;
  }

  // Whoever still waits depends on someone who still waits, so following those must come round.
  #cycle(waiting: Uint32Array): FafnirError {
    const visits = new Uint32Array(waiting.length);
    const path: number[] = [];
    let at = waiting.findIndex((left) => left > 0);
    while (visits[at] === 0) {
      path.push(at);
      visits[at] = path.length;
      at = this.dependencies(at).find((target) => (waiting[target] ?? 0) > 0) ?? at;
    }
    const loop = [...path.slice((visits[at] ?? 1) - 1), at];
    const half = SHOWN_PATH / 2;
    const named = (positions: readonly number[]): string[] =>
      positions.flatMap((position) => this.resources[position] ?? []).map(describeKey);
    const shown =
      loop.length <= SHOWN_PATH
        ? named(loop)
        : [...named(loop.slice(0, half)), `(${loop.length - SHOWN_PATH} more)`, ...named(loop.slice(-half))];
    return new FafnirError('CYCLE', `resources depend on each other: ${shown.join(' -> ')}`, {
      hint: 'Make one of the references in the path a resource of its own, which depends on both of its ends.',
    });
  }
}

/** Where the row of each position starts, and the last one ends, when entries are put in order of their keys. */
export function rowStarts(keys: Uint32Array, count: number): Uint32Array {
  const starts = new Uint32Array(count + 1);
  for (let at = 0; at < keys.length; at += 1) {
    const next = (keys[at] ?? 0) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let row = 0; row < count; row += 1) starts[row + 1] = (starts[row + 1] ?? 0) + (starts[row] ?? 0);
  return starts;
}

/** The values in rows by their keys; values of one key stay in their order. */
export function fillRows(starts: Uint32Array, keys: Uint32Array, values: Uint32Array): Uint32Array {
  const free = starts.slice();
  const filled = new Uint32Array(values.length);
  for (let at = 0; at < keys.length; at += 1) {
    const key = keys[at] ?? 0;
    const slot = free[key] ?? 0;
    filled[slot] = values[at] ?? 0;
    free[key] = slot + 1;
  }
  return filled;
}

const asColumn = (values: ArrayLike<number>): Uint32Array =>
  values instanceof Uint32Array ? values : Uint32Array.from(values);
