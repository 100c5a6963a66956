import type { Resource, ResourceKey } from '../contracts/index.ts';
import type { ResourceGraph } from './resource-graph.ts';
import { shorten } from './shorten.ts';

/** What a picture of a graph shows beside the graph. */
export interface PictureOptions {
  /**
   * How far a resource is, as a short word such as pending, running, done, failed, skipped or stopped; other words are
   * shown as they are, in one colour. A resource without one is drawn plain.
   */
  readonly states?: (key: ResourceKey) => string | undefined;
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

type StateOf = NonNullable<PictureOptions['states']>;
type Tally = Map<Look, number>;

/** What to draw of a graph: each resource, or each type where the graph is larger than the limits. */
export function pictureOf(graph: ResourceGraph, options: PictureOptions, limits: PictureLimits): Picture {
  const { states = () => undefined } = options;
  const fits = graph.resources.length <= limits.resources && graph.edges.from.length <= limits.edges;
  return fits ? pictureOfResources(graph, states) : pictureOfTypes(graph, states);
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
