import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Resource } from '../src/core/contracts/index.ts';
import { ResourceGraph } from '../src/core/graph/resource-graph.ts';
import { type WalkRequest, walk } from '../src/core/graph/walk.ts';
import type { Figure } from './figure.ts';

const ROUNDS = 5;
const CONCURRENCY = 64;
const SMALL = 10_000;
const USUAL = 100_000;
const LARGE = 1_000_000;
const GOAL = 300_000;
const GROWTH_GOAL = 2;
const RESOURCES_PER_SERVER = 3;
const SHARED = 3;

type Hook = () => Promise<void> | void;

/**
 * Walking over an application through four phases whose hooks do nothing: a project, its servers, and for each of
 * them two volumes of its own, beside an image and a network that all servers share.
 */
export async function run(): Promise<readonly Figure[]> {
  const waits: Hook = async () => undefined;
  const returns: Hook = () => undefined;
  const [small, usual, large] = [applicationOf(SMALL), applicationOf(USUAL), applicationOf(LARGE)];
  const rates = { waits: [] as number[], returns: [] as number[] };
  const growths: number[] = [];
  // Before there is garbage of other walks.
  const memory = await bytesOf(large);
  const stall = await longestStall(usual, returns);
  // One round that does not count, so that all of them find the code compiled.
  for (let round = -1; round < ROUNDS; round += 1) {
    const waiting = await rateOf(usual, waits);
    const returning = await rateOf(usual, returns);
    const smallRates: number[] = [];
    for (let again = 0; again < ROUNDS; again += 1) smallRates.push(await rateOf(small, waits));
    const growth = median(smallRates) / (await rateOf(large, waits));
    if (round < 0) continue;
    rates.waits.push(waiting);
    rates.returns.push(returning);
    growths.push(growth);
  }
  const alone = { rival: null, ratio: null, rounds: ROUNDS };
  const rate = median(rates.waits);
  const growth = median(growths);
  return [
    {
      ...alone,
      name: 'walk rate',
      value: rate,
      unit: 'resources/s',
      goal: `>= ${GOAL} resources/s`,
      met: rate >= GOAL,
    },
    {
      ...alone,
      name: 'walk rate, synchronous',
      value: median(rates.returns),
      unit: 'resources/s',
      goal: null,
      met: null,
    },
    {
      ...alone,
      name: 'walk growth',
      value: growth,
      unit: 'time a resource, 1M / 10k',
      goal: `<= ${GROWTH_GOAL}`,
      met: growth <= GROWTH_GOAL,
    },
    {
      ...alone,
      name: 'walk memory',
      value: memory / LARGE,
      unit: 'bytes a resource',
      goal: null,
      met: null,
      rounds: 1,
    },
    { ...alone, name: 'longest stall', value: stall, unit: 'ms', goal: null, met: null, rounds: 1 },
  ];
}

/** A project, servers, and what they depend on: `count` resources in all. */
export function applicationOf(count: number): ResourceGraph {
  const servers = Math.floor((count - SHARED) / RESOURCES_PER_SERVER);
  const name = (type: string, at: number): Resource => {
    const id = `${type}-${String(at).padStart(7, '0')}`;
    return { type: `Bench::${type}`, id, name: id, attributes: {} };
  };
  const many = (type: string, length: number): Resource[] =>
    Array.from({ length }, (_, at) => name(type, at));
  const [image, network, project, firstServer] = [0, 1, 2, SHARED];
  const firstVolume = firstServer + servers;
  const from: number[] = [];
  const to: number[] = [];
  const depends = (dependant: number, ...on: readonly number[]): void => {
    for (const one of on) {
      from.push(dependant);
      to.push(one);
    }
  };
  for (let at = 0; at < servers; at += 1) depends(project, firstServer + at);
  for (let at = 0; at < servers; at += 1) {
    const volume = firstVolume + 2 * at;
    depends(firstServer + at, image, network, volume, volume + 1);
  }
  const resources = [
    ...['Image', 'Network', 'Project'].map((type) => name(type, 0)),
    ...many('Server', servers),
    ...many('Volume', count - firstVolume),
  ];
  return ResourceGraph.from({ resources, edges: { from, to } });
}

function requestOf(graph: ResourceGraph, run: Hook): WalkRequest {
  const phases = [
    { name: 'begin', order: 'dependants-first' as const, run },
    { name: 'finish', order: 'dependencies-first' as const, ends: 'begin', run },
    { name: 'main', order: 'free' as const, run },
    { name: 'complete', order: 'dependencies-first' as const, run },
  ];
  return { graph, phases, onFailure: 'fail', concurrency: CONCURRENCY, nextTurn: () => nextTurn() };
}

/** Resources per second. */
async function rateOf(graph: ResourceGraph, hook: Hook): Promise<number> {
  const start = performance.now();
  const { counts } = await walk(requestOf(graph, hook), { signal: new AbortController().signal });
  const seconds = (performance.now() - start) / 1000;
  const { length } = graph.resources;
  if (counts.done !== length) throw new Error(`${counts.done} of ${length} resources were done`);
  return length / seconds;
}

/** What the columns of a walk take when its first hook is called, with those that it needed to get there. */
async function bytesOf(graph: ResourceGraph): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  let first: number | undefined;
  await rateOf(graph, () => {
    first ??= process.memoryUsage().arrayBuffers - before;
  });
  return first ?? NaN;
}

/** The longest that the event loop got no turn, in milliseconds. */
async function longestStall(graph: ResourceGraph, hook: Hook): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 0);
  await rateOf(graph, hook);
  clearInterval(timer);
  return longest;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}
