import type { Picture } from './picture.ts';

/** A node's place: the corner at its upper left. */
export interface Box {
  /** From the left. */
  readonly x: number;
  /** From the top. */
  readonly y: number;
}

/** A piece of an edge: a cubic curve. Edges to one node run together where they can, and share pieces. */
export interface Curve {
  /** Start, the two control points and end, each as x, y. */
  readonly points: readonly number[];
  /** Which way the arrow at its end points; null where the piece does not end at a node. */
  readonly arrow: 'left' | 'right' | null;
}

/** Where things are, in pixels; dependants are left of what they depend on. */
export interface Layout {
  /** By node. */
  readonly boxes: readonly Box[];
  /** The edges. */
  readonly curves: readonly Curve[];
  /** Of the whole. */
  readonly width: number;
  /** Of the whole. */
  readonly height: number;
}

/** The width of every node. */
export const NODE_WIDTH = 280;
const COLUMN_GAP = 88;
const ROW_GAP = 16;
const MARGIN = 48;
const LOOP = 48;
const SWEEPS = 12;
// Where lanes would need more bends than this, edges go straight behind the nodes in their way.
const MOST_BENDS = 10_000;

/** Places nodes of the given heights in layers: each as far right as the longest path to it is long. */
export function layoutOf(heights: readonly number[], edges: Picture['edges']): Layout {
  const routes = routesOf(layersOf(heights.length, edges), edges);
  const middles = middlesOf(heights, routes);
  const bottoms = middles.map((middle, slot) => middle + at(heights, slot) / 2);
  const top = Math.min(...middles.map((middle, slot) => middle - at(heights, slot) / 2), 0) - MARGIN;
  const place = (slot: number): Place => ({
    x: MARGIN + at(routes.layers, slot) * (NODE_WIDTH + COLUMN_GAP),
    y: Math.round(at(middles, slot) - top),
  });
  const isNode = (slot: number): boolean => slot < heights.length;
  const lanes = routes.layers.flatMap((_, slot) => (isNode(slot) ? [] : laneThrough(place(slot))));
  const pieces = routes.pieces.map(([from, to]) => curveBetween(place(from), place(to), isNode(to)));
  return {
    boxes: heights.map((height, node) => {
      const { x, y } = place(node);
      return { x, y: y - Math.round(height / 2) };
    }),
    curves: [...lanes, ...pieces],
    width: Math.max(...routes.layers, 0) * (NODE_WIDTH + COLUMN_GAP) + NODE_WIDTH + 2 * MARGIN,
    height: Math.round(Math.max(...bottoms, 0) - top) + MARGIN,
  };
}

const at = (values: readonly number[], index: number): number => values[index] ?? 0;

// Each dependant comes before what it depends on. Where a summary has a cycle, it is opened at the node that waits for
// the fewest others.
function layersOf(count: number, edges: Picture['edges']): number[] {
  const waiting = Array.from({ length: count }, () => 0);
  const targets = Array.from({ length: count }, (): number[] => []);
  for (const [from, to] of edges) {
    if (from === to) continue;
    waiting[to] = at(waiting, to) + 1;
    targets[from]?.push(to);
  }
  const layers = Array.from({ length: count }, () => 0);
  const left = new Set(layers.keys());
  const ready = [...left].filter((node) => waiting[node] === 0);
  while (left.size > 0) {
    const node = ready.pop() ?? leastOf(left, waiting);
    left.delete(node);
    for (const target of targets[node] ?? []) {
      if (!left.has(target)) continue;
      layers[target] = Math.max(at(layers, target), at(layers, node) + 1);
      waiting[target] = at(waiting, target) - 1;
      if (waiting[target] === 0) ready.push(target);
    }
  }
  return layers;
}

function leastOf(nodes: ReadonlySet<number>, values: readonly number[]): number {
  let [least = 0] = nodes;
  for (const node of nodes) if (at(values, node) < at(values, least)) least = node;
  return least;
}

/** Slots are the nodes and, behind them, the bends: where edges pass a layer on their way to a farther one. */
interface Routes {
  /** By slot. */
  readonly layers: readonly number[];
  /** Pairs of slots; in neighbouring layers, but for edges against the order and graphs with too many bends. */
  readonly pieces: readonly (readonly [number, number])[];
}

// All edges to one node share one lane, so that something everybody depends on does not fill the picture.
function routesOf(nodeLayers: readonly number[], edges: Picture['edges']): Routes {
  const nearest = [...nodeLayers];
  for (const [from, to] of edges) nearest[to] = Math.min(at(nearest, to), at(nodeLayers, from));
  const spans = nodeLayers.map((layer, node) => Math.max(layer - at(nearest, node) - 1, 0));
  const bending = spans.reduce((sum, span) => sum + span, 0) <= MOST_BENDS;
  const layers = [...nodeLayers];
  const pieces: [number, number][] = [];
  const lanes = new Map<number, number>();
  spans.forEach((span, node) => {
    if (!bending || span === 0) return;
    lanes.set(node, layers.length);
    for (let bend = 1; bend <= span; bend += 1) {
      layers.push(at(nearest, node) + bend);
      pieces.push([layers.length - 1, bend === span ? node : layers.length]);
    }
  });
  for (const [from, to] of edges) {
    const passed = at(nodeLayers, to) - at(nodeLayers, from) - 1;
    const lane = lanes.get(to);
    const entry = lane === undefined || passed < 1 ? to : lane + at(nodeLayers, from) - at(nearest, to);
    pieces.push([from, entry]);
  }
  return { layers, pieces };
}

// Orders every layer by the mean height of its neighbours, in sweeps from left to right and back.
function middlesOf(heights: readonly number[], { layers, pieces }: Routes): number[] {
  const columns: number[][] = [];
  const sides: [number[], number[]][] = layers.map(() => [[], []]);
  layers.forEach((layer, slot) => {
    columns[layer] = [...(columns[layer] ?? []), slot];
  });
  for (const [from, to] of pieces) {
    if (at(layers, from) >= at(layers, to)) continue;
    sides[from]?.[1].push(to);
    sides[to]?.[0].push(from);
  }
  const middles = layers.map(() => 0);
  for (const column of columns) settle(column, heights, middles, middles);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const rightwards = sweep % 2 === 0;
    for (const column of rightwards ? columns : columns.toReversed()) {
      const wanted = [...middles];
      for (const slot of column) {
        let [sum, weights] = [0, 0];
        for (const neighbour of sides[slot]?.[rightwards ? 0 : 1] ?? []) {
          // What many share says little about where one of them belongs.
          const weight = 1 / (sides[neighbour]?.[rightwards ? 1 : 0].length ?? 1);
          sum += at(middles, neighbour) * weight;
          weights += weight;
        }
        if (weights > 0) wanted[slot] = sum / weights;
      }
      column.sort((a, b) => at(wanted, a) - at(wanted, b));
      settle(column, heights, wanted, middles);
    }
  }
  return middles;
}

// Moves the slots of a column as near to where they want to be as their order and the gaps between them allow: runs of
// slots that push each other stand, as a whole, in the mean of their wishes.
function settle(
  column: readonly number[],
  heights: readonly number[],
  wanted: readonly number[],
  middles: number[],
): void {
  const runs: { count: number; sum: number }[] = [];
  const offsets: number[] = [];
  let offset = 0;
  for (const [index, slot] of column.entries()) {
    if (index > 0) offset += (at(heights, column[index - 1] ?? -1) + at(heights, slot)) / 2 + ROW_GAP;
    offsets.push(offset);
    let run = { count: 1, sum: at(wanted, slot) - offset };
    for (
      let last = runs.at(-1);
      last !== undefined && last.sum / last.count > run.sum / run.count;
      last = runs.at(-1)
    ) {
      run = { count: run.count + last.count, sum: run.sum + last.sum };
      runs.pop();
    }
    runs.push(run);
  }
  let index = 0;
  for (const { count, sum } of runs) {
    for (const end = index + count; index < end; index += 1) {
      middles[column[index] ?? -1] = sum / count + at(offsets, index);
    }
  }
}

// The left edge of a slot, and its middle.
type Place = { readonly x: number; readonly y: number };

const laneThrough = ({ x, y }: Place): Curve => ({
  points: [x, y, x, y, x + NODE_WIDTH, y, x + NODE_WIDTH, y],
  arrow: null,
});

function curveBetween(from: Place, to: Place, ends: boolean): Curve {
  if (from.x === to.x) {
    const x = from.x + NODE_WIDTH;
    const [start, end] = from.y === to.y ? [from.y - 10, to.y + 10] : [from.y, to.y];
    return { points: [x, start, x + LOOP, start, x + LOOP, end, x, end], arrow: 'left' };
  }
  const rightwards = from.x < to.x;
  const start = rightwards ? from.x + NODE_WIDTH : from.x;
  const end = rightwards ? to.x : to.x + NODE_WIDTH;
  const half = (start + end) / 2;
  return {
    points: [start, from.y, half, from.y, half, to.y, end, to.y],
    arrow: ends ? (rightwards ? 'right' : 'left') : null,
  };
}
