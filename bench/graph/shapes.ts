import type { Dependencies, DependencyEdges, Protectable, Resource } from '../../src/core/contracts/index.ts';
import type { DiscoverRequest } from '../../src/core/graph/discover.ts';

/** Resources of some system, and its edges as rows: those of resource n are `targets[starts[n]]` up to `starts[n + 1]`. */
export interface Shape {
  /** The resources, without order. */
  readonly resources: readonly Resource[];
  /** Where rows start. */
  readonly starts: Uint32Array;
  /** What is depended on, by number. */
  readonly targets: Uint32Array;
  /** How many of the first resources discovery begins with. */
  readonly roots: number;
}

/** How to make a shape of about so many resources. `round` makes its ids differ from those of other rounds. */
export type MakeShape = (count: number, round: number) => Shape;

const SERVER_PARTS = 4;
const EDGES = 5;
const LAYER = 1_000;

/** A project of servers; each has two volumes of its own, and shares one image and one network with all others. */
export const project: MakeShape = (count, round) => {
  const servers = Math.floor((count - 3) / (SERVER_PARTS - 1));
  const [image, network, firstServer] = [1, 2, 3];
  const firstVolume = firstServer + servers;
  const resources = [
    resourceOf('Bench::Project', 0, round),
    resourceOf('Bench::Image', image, round),
    resourceOf('Bench::Network', network, round),
  ];
  for (let at = 0; at < servers; at += 1)
    resources.push(resourceOf('Bench::Server', firstServer + at, round));
  for (let at = 0; at < 2 * servers; at += 1)
    resources.push(resourceOf('Bench::Volume', firstVolume + at, round));
  return shapeOf(resources, 1, (number) => {
    if (number === 0) return Array.from({ length: servers }, (_, at) => firstServer + at);
    const server = number - firstServer;
    if (server < 0 || server >= servers) return [];
    return [firstVolume + 2 * server, firstVolume + 2 * server + 1, image, network];
  });
};

/** Layers of a thousand; each resource depends on five near each other in the next layer. */
export const layers: MakeShape = (count, round) =>
  shapeOf(manyOf(count, round), LAYER, (number) => {
    const next = number - (number % LAYER) + LAYER;
    if (next + LAYER > count) return [];
    return Array.from({ length: EDGES }, (_, at) => next + ((number + at) % LAYER));
  });

/** Each resource depends on the next one and on four that lie anywhere behind it. */
export const farEdges: MakeShape = (count, round) => {
  const random = randomBelow(round + 1);
  return shapeOf(manyOf(count, round), LAYER, (number) => {
    const behind = count - number - 1;
    if (behind === 0) return [];
    const near = Math.min(number + LAYER, count - 1);
    return [near, ...Array.from({ length: EDGES - 1 }, () => number + 1 + random(behind))];
  });
};

/** A request whose plugins answer from the shape, as a system would: found targets once a batch, edges by position. */
export function requestFor(shape: Shape, onCall: () => void = () => undefined): DiscoverRequest {
  const { resources, roots } = shape;
  // When a target was last put into an answer, and where.
  const seen = new Uint32Array(resources.length);
  const places = new Uint32Array(resources.length);
  let calls = 0;
  const dependencies = (batch: readonly Resource[]): Dependencies => {
    onCall();
    calls += 1;
    const found: Resource[] = [];
    const edges = edgesOf(shape, batch, (number) => {
      const resource = resources[number];
      if (seen[number] !== calls && resource !== undefined) {
        seen[number] = calls;
        places[number] = found.length;
        found.push(resource);
      }
      return places[number] ?? 0;
    });
    return { resources: found, edges, failures: [] };
  };
  const byId = new Map(resources.slice(0, roots).map((resource) => [resource.id, resource]));
  const plugin = (type: string): Protectable => ({
    contract: 1,
    type,
    async *list() {
      yield* resources.filter((resource) => resource.type === type);
    },
    find: async (ids) => ids.flatMap((id) => byId.get(id) ?? []),
    dependencies: async (batch) => dependencies(batch),
    capture: unused,
    create: unused,
    connect: unused,
    remove: unused,
  });
  const types = [...new Set(resources.map(({ type }) => type))];
  return {
    roots: resources.slice(0, roots).map(({ type, id }) => ({ type, id })),
    protectables: new Map(types.map((type) => [type, plugin(type)])),
  };
}

function edgesOf(
  { starts, targets }: Shape,
  batch: readonly Resource[],
  placeOf: (number: number) => number,
): DependencyEdges {
  const numbers = Uint32Array.from(batch, ({ attributes: { number } }) => Number(number));
  const end = (number: number): number => starts[number + 1] ?? 0;
  const count = numbers.reduce((sum, number) => sum + end(number) - (starts[number] ?? 0), 0);
  const from = new Uint32Array(count);
  const to = new Uint32Array(count);
  let edge = 0;
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at] ?? 0;
    for (let slot = starts[number] ?? 0; slot < end(number); slot += 1, edge += 1) {
      from[edge] = at;
      to[edge] = placeOf(targets[slot] ?? 0);
    }
  }
  return { from, to };
}

function shapeOf(
  resources: readonly Resource[],
  roots: number,
  rowOf: (number: number) => readonly number[],
): Shape {
  const starts = new Uint32Array(resources.length + 1);
  let targets = new Uint32Array(1_024);
  let count = 0;
  for (let number = 0; number < resources.length; number += 1) {
    const row = rowOf(number);
    while (count + row.length > targets.length) {
      const larger = new Uint32Array(2 * targets.length);
      larger.set(targets);
      targets = larger;
    }
    targets.set(row, count);
    count += row.length;
    starts[number + 1] = count;
  }
  return { resources, starts, targets: targets.slice(0, count), roots };
}

const manyOf = (count: number, round: number): Resource[] =>
  Array.from({ length: count }, (_, number) => resourceOf('Bench::Part', number, round));

function resourceOf(type: string, number: number, round: number): Resource {
  return { type, id: freshId(number, round), name: `part ${number}`, attributes: { number } };
}

/** Like the ids of clouds: 36 characters in no order. In one piece and not hashed yet, as after reading an answer. */
function freshId(number: number, round: number): string {
  const random = randomBelow(Math.imul(number + 1, 0x9e3779b1) ^ round);
  const hex = Array.from({ length: 4 }, () =>
    random(2 ** 32)
      .toString(16)
      .padStart(8, '0'),
  ).join('');
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    '-',
  );
  return Buffer.from(id, 'latin1').toString('latin1');
}

/** Numbers that follow from the seed. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

const unused = async (): Promise<never> => {
  throw new Error('discovery asks for nothing but list, find and dependencies');
};
