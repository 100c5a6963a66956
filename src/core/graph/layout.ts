import type { Resource, ResourceKey } from '../contracts/index.ts';
import { describeKey, type ResourceGraph } from './resource-graph.ts';

/**
 * How far each resource is, as a short word such as pending, running, done, failed, skipped or stopped; other words
 * are shown as they are, in one colour. A map is by `type/id`, with % and / inside either of them as %25 and %2F.
 */
export type ResourceStates = ((key: ResourceKey) => string | undefined) | ReadonlyMap<string, string>;

/** What a picture of a graph shows beside the graph. */
export interface PictureOptions {
  /** The states; a resource without one is drawn plain. */
  readonly states?: ResourceStates;
}

/** The states that have a colour of their own, the most pressing first. */
export const STATES = ['failed', 'stopped', 'running', 'pending', 'skipped', 'done'] as const;

/** How a node is coloured: by its state, `other` for an unknown state, `plain` for none. */
export type Look = (typeof STATES)[number] | 'other' | 'plain';

/** A resource, or all of one type. */
export interface PictureNode {
  /** What is written on it, clean but not escaped; the first line is its title. */
  readonly lines: readonly string[];
  /** Its colour. */
  readonly look: Look;
}

/** What is drawn, in bounded size. */
export interface Picture {
  /** The nodes. */
  readonly nodes: readonly PictureNode[];
  /** Pairs of a dependant and what it depends on, by index; in a summary, cycles are possible. */
  readonly edges: readonly (readonly [number, number])[];
  /** The whole in one sentence. */
  readonly description: string;
}

/** What a kind of picture can hold; a larger graph is summarised by type. */
export interface PictureLimits {
  /** The most resources. */
  readonly resources: number;
  /** The most edges. */
  readonly edges: number;
}

const LINE_WIDTH = 32;
const STATE_WIDTH = 24;
const TYPES_SHOWN = 20;

// Control, formatting and unpaired characters: what XML forbids, and what would turn the text around it. The joiners
// (U+200C and U+200D) are part of ordinary words.
const UNPRINTABLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Noncharacter_Code_Point}]/gu;

/**
 * Text from outside for one line of at most `width` columns: without control characters, and with its middle left
 * out where it is too long. It still has to be escaped for where it goes.
 */
export function shorten(text: string, width: number): string {
  // Of a text of any length only the ends are looked at: a column is at most two units.
  const ends = text.length > 8 * width ? `${text.slice(0, 4 * width)} ${text.slice(-4 * width)}` : text;
  const clean = ends.replace(/\s+/gu, ' ').trim().replace(UNPRINTABLE, '\ufffd');
  const letters = Array.from(clean);
  if (letters.reduce((sum, letter) => sum + columnsOf(letter), 0) <= width && ends === text) return clean;
  const head = fitting(letters, Math.ceil(((width - 1) * 2) / 3));
  const tail = fitting(letters.reverse(), Math.floor((width - 1) / 3)).reverse();
  return `${head.join('').trimEnd()}\u2026${tail.join('').trimStart()}`;
}

// From Hangul on, scripts are mostly twice as wide as Latin.
const columnsOf = (letter: string): number => ((letter.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2);

function fitting(letters: readonly string[], width: number): string[] {
  let left = width;
  const end = letters.findIndex((letter) => {
    left -= columnsOf(letter);
    return left < 0;
  });
  return letters.slice(0, end === -1 ? letters.length : end);
}

type StateOf = (key: ResourceKey) => string | undefined;
type Tally = Map<Look, number>;

/** What to draw of a graph: each resource, or each type where the graph is larger than the limits. */
export function pictureOf(graph: ResourceGraph, { states }: PictureOptions, limits: PictureLimits): Picture {
  const stateOf: StateOf = typeof states === 'function' ? states : (key) => states?.get(describeKey(key));
  const fits = graph.resources.length <= limits.resources && graph.edges.from.length <= limits.edges;
  return fits ? pictureOfResources(graph, stateOf) : pictureOfTypes(graph, stateOf);
}

function pictureOfResources(graph: ResourceGraph, stateOf: StateOf): Picture {
  const all: Tally = new Map();
  const nodes = graph.resources.map((resource) => {
    const state = shorten(stateOf(resource) ?? '', STATE_WIDTH);
    const look = lookOf(state);
    add(all, look);
    return { lines: linesOf(resource, state), look };
  });
  const edges = Array.from(graph.edges.from, (from, edge) => [from, graph.edges.to[edge] ?? 0] as const);
  return { nodes, edges, description: describePicture(graph, all) };
}

function linesOf({ type, id, name }: Resource, state: string): string[] {
  const title = shorten(name, LINE_WIDTH) || shorten(id, LINE_WIDTH) || '?';
  const lines = [title, shorten(type, LINE_WIDTH), shorten(id, LINE_WIDTH), state];
  return lines.filter((line, at) => line !== '' && (at !== 2 || line !== title));
}

// Types beyond the largest ones share the last node, so that the number of types cannot make a picture large.
function pictureOfTypes(graph: ResourceGraph, stateOf: StateOf): Picture {
  const counts = new Map<string, number>();
  for (const { type } of graph.resources) counts.set(type, (counts.get(type) ?? 0) + 1);
  const shown = [...counts].sort(([, a], [, b]) => b - a).slice(0, TYPES_SHOWN);
  const nodes = new Map(shown.map(([type], node) => [type, node]));
  const tallies = Array.from({ length: nodes.size + 1 }, (): Tally => new Map());
  const all: Tally = new Map();
  const nodeOf = Uint32Array.from(graph.resources, (resource) => {
    const node = nodes.get(resource.type) ?? nodes.size;
    const look = lookOf(stateOf(resource) ?? '');
    add(tallies[node], look);
    add(all, look);
    return node;
  });
  const size = tallies.length;
  const pairs = new Set<number>();
  graph.edges.from.forEach((from, edge) => {
    pairs.add((nodeOf[from] ?? 0) * size + (nodeOf[graph.edges.to[edge] ?? 0] ?? 0));
  });
  const titles = shown.map(([type]) => shorten(type, LINE_WIDTH));
  if (counts.size > shown.length) titles.push(countOf(counts.size - shown.length, 'more type'));
  return {
    nodes: titles.map((title, node) => nodeOfTally(title, tallies[node] ?? new Map())),
    edges: [...pairs].sort((a, b) => a - b).map((pair) => [Math.floor(pair / size), pair % size]),
    description: `${describePicture(graph, all)}, shown by type`,
  };
}

function nodeOfTally(title: string, tally: Tally): PictureNode {
  const total = [...tally.values()].reduce((sum, count) => sum + count, 0);
  const look = PRESSING.find((one) => tally.has(one)) ?? 'plain';
  return { lines: [title, countOf(total, 'resource'), ...describeTally(tally)], look };
}

function add(tally: Tally | undefined, look: Look): void {
  tally?.set(look, (tally.get(look) ?? 0) + 1);
}

const PRESSING = [...STATES, 'other'] as const;

const lookOf = (state: string): Look =>
  state === '' ? 'plain' : (STATES.find((known) => known === state) ?? 'other');

const describeTally = (tally: Tally): string[] =>
  PRESSING.flatMap((look) => {
    const count = tally.get(look);
    return count === undefined ? [] : `${numberOf(count)} ${look === 'other' ? 'in another state' : look}`;
  });

function describePicture({ resources, edges }: ResourceGraph, tally: Tally): string {
  const size = `${countOf(resources.length, 'resource')}, ${countOf(edges.from.length, 'edge')}`;
  return [size, ...describeTally(tally)].join(', ');
}

const numberOf = (count: number): string => count.toLocaleString('en');

const countOf = (count: number, what: string): string =>
  `${numberOf(count)} ${what}${count === 1 ? '' : 's'}`;

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
