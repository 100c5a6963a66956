import type { Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { joinParts } from '../identity.ts';

/** Edges as two columns: the resource at `from[i]` depends on the one at `to[i]`. */
export interface EdgeColumns {
  /** Positions of dependants. */
  readonly from: Uint32Array;
  /** Positions of what they depend on. */
  readonly to: Uint32Array;
}

/** A resource's identity as one text, for messages and names. */
export const describeKey = ({ type, id }: ResourceKey): string => joinParts(type, id);

/**
 * What depends on what: acyclic, each resource once. Positions are by ascending (type, id), so that equal
 * applications have equal graphs.
 */
export class ResourceGraph {
  /** The resources by position. */
  readonly resources: readonly Resource[];
  /** All edges, ascending by `from`, then `to`. */
  readonly edges: EdgeColumns;
  /** Positions so that every resource stands after all that it depends on. */
  readonly order: Uint32Array;
  // Row starts: the dependencies of position p are edges.to[#rows[p]] up to, not including, #rows[p + 1].
  readonly #rows: Uint32Array;

  /** `resources` ascending by (type, id) without repeats, `edges` ascending; a cycle is refused with `CYCLE`. */
  constructor(resources: readonly Resource[], edges: EdgeColumns) {
    this.resources = resources;
    this.edges = edges;
    this.#rows = new Uint32Array(resources.length + 1);
    for (const from of edges.from) this.#rows[from + 1] = (this.#rows[from + 1] ?? 0) + 1;
    for (let at = 0; at < resources.length; at += 1) {
      this.#rows[at + 1] = (this.#rows[at + 1] ?? 0) + (this.#rows[at] ?? 0);
    }
    this.order = this.#dependenciesFirst();
  }

  /** A graph from plain columns, as they are stored. */
  static from(stored: {
    readonly resources: readonly Resource[];
    readonly edges: { readonly from: ArrayLike<number>; readonly to: ArrayLike<number> };
  }): ResourceGraph {
    const { from, to } = stored.edges;
    return new ResourceGraph(stored.resources, { from: Uint32Array.from(from), to: Uint32Array.from(to) });
  }

  /** Positions of what the resource at `position` depends on directly. */
  dependencies(position: number): Uint32Array {
    return this.edges.to.subarray(this.#rows[position], this.#rows[position + 1]);
  }

  #dependenciesFirst(): Uint32Array {
    const count = this.resources.length;
    const { from, to } = this.edges;
    const waiting = new Uint32Array(count);
    const dependants = new Uint32Array(count + 1);
    for (let edge = 0; edge < from.length; edge += 1) {
      const [source, target] = [from[edge] ?? 0, to[edge] ?? 0];
      waiting[source] = (waiting[source] ?? 0) + 1;
      dependants[target + 1] = (dependants[target + 1] ?? 0) + 1;
    }
    for (let at = 0; at < count; at += 1)
      dependants[at + 1] = (dependants[at + 1] ?? 0) + (dependants[at] ?? 0);
    const fill = dependants.slice();
    const dependantOf = new Uint32Array(from.length);
    for (let edge = 0; edge < from.length; edge += 1) {
      const target = to[edge] ?? 0;
      const slot = fill[target] ?? 0;
      dependantOf[slot] = from[edge] ?? 0;
      fill[target] = slot + 1;
    }
    const order = new Uint32Array(count);
    let filled = 0;
    for (let at = 0; at < count; at += 1) if (waiting[at] === 0) order[filled++] = at;
    for (let next = 0; next < filled; next += 1) {
      const done = order[next] ?? 0;
      for (const dependant of dependantOf.subarray(dependants[done], dependants[done + 1])) {
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
    const seenAt = new Map<number, number>();
    const path: number[] = [];
    let at = waiting.findIndex((left) => left > 0);
    while (!seenAt.has(at)) {
      seenAt.set(at, path.length);
      path.push(at);
      at = this.dependencies(at).find((target) => (waiting[target] ?? 0) > 0) ?? at;
    }
    const loop = [...path.slice(seenAt.get(at)), at].map((position) => {
      const resource = this.resources[position];
      return resource === undefined ? '?' : describeKey(resource);
    });
    return new FafnirError('CYCLE', `resources depend on each other: ${loop.join(' -> ')}`);
  }
}
