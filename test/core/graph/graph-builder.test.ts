import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../../src/core/contracts/index.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import { compareKeys, type ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { acyclicModel, shuffler } from './models.ts';
import { keyOf, type Model, resourceOf } from './system.ts';

/** The graph of what came in, resource by resource and edge by edge. */
function build(resources: readonly Resource[], edges: Model['edges'] = []): ResourceGraph {
  const builder = new GraphBuilder();
  const numbers = resources.map((resource) => builder.add(resource));
  for (const [from, to] of edges) builder.connect(numbers[from] ?? -1, numbers[to] ?? -1);
  return builder.build();
}

const edgesOf = ({ resources, edges }: ResourceGraph): readonly string[] =>
  Array.from(edges.from, (from, at) =>
    [resources[from], resources[edges.to[at] ?? -1]].map((one) => (one ? keyOf(one) : '?')).join(' -> '),
  );

describe('a built graph', () => {
  it('has each resource and edge once in ascending order, in whatever order and how often they came in', () => {
    fc.assert(
      fc.property(acyclicModel, fc.nat(), ({ resources, edges }, seed) => {
        const arranged = shuffler(seed)([...resources.keys(), ...resources.keys()]);
        const places = resources.map((_, at) => arranged.indexOf(at));
        const graph = build(
          arranged.flatMap((at) => resources[at] ?? []),
          shuffler(seed)([...edges, ...edges]).map(
            ([from, to]) => [places[from] ?? -1, places[to] ?? -1] as const,
          ),
        );
        expect(graph.resources).toEqual([...resources].sort(compareKeys));
        const expected = edges.map((edge) =>
          edge
            .flatMap((at) => resources[at] ?? [])
            .map(keyOf)
            .join(' -> '),
        );
        expect(new Set(edgesOf(graph))).toEqual(new Set(expected));
        const { from, to } = graph.edges;
        for (let edge = 1; edge < from.length; edge += 1) {
          const [a = 0, b = 0, c = 0, d = 0] = [from[edge - 1], from[edge], to[edge - 1], to[edge]];
          expect(a < b || (a === b && c < d)).toBe(true);
        }
      }),
    );
  });

  it.each<[string, fc.Arbitrary<string>]>([
    ['characters of any kind', fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })],
    [
      'code units that are no characters',
      fc
        .array(fc.nat({ max: 0xffff }), { minLength: 1, maxLength: 6 })
        .map((units) => String.fromCharCode(...units)),
    ],
    [
      'few characters, so that many begin alike',
      fc.string({
        unit: fc.constantFrom('\u0000', 'a', 'ý', 'þ', 'ÿ', 'ā', '中'),
        minLength: 1,
        maxLength: 9,
      }),
    ],
    [
      'a long beginning that all have',
      fc.stringMatching(/^[0-9]{1,7}$/).map((digits) => `server-in-a-long-named-place-${digits}`),
    ],
  ])('is in the order of its ids, with %s', (_, id) => {
    fc.assert(
      fc.property(fc.uniqueArray(id, { maxLength: 200, size: 'max' }), (ids) => {
        const graph = build(ids.map((one) => resourceOf('T', one)));
        expect(graph.resources.map((resource) => resource.id)).toEqual([...ids].sort());
      }),
    );
  });

  it('is in the order of ids that are alike in several places', () => {
    const digits = Array.from({ length: 6_000 }, (_, at) => String((at * 7_919) % 6_000).padStart(4, '0'));
    const ids = digits.map(
      (id, at) => `${(at % 8).toString(2).padStart(3, '0')}${id}-of-the-same-kind-${id}`,
    );
    const graph = build(ids.map((one) => resourceOf('T', one)));
    expect(graph.resources.map((resource) => resource.id)).toEqual([...ids].sort());
  });

  it('keeps the first resource that came in under a key', () => {
    const first = { ...resourceOf('T', 'a'), name: 'first' };
    expect(build([first, { ...first, name: 'second' }]).resources).toEqual([first]);
  });

  it('leaves the builder empty', () => {
    const builder = new GraphBuilder();
    builder.connect(builder.add(resourceOf('T', 'a')), builder.add(resourceOf('T', 'b')));
    expect(builder.build().edges.from).toHaveLength(1);
    expect(builder.find(resourceOf('T', 'a'))).toBe(-1);
    const { resources, edges } = builder.build();
    expect([resources.length, edges.from.length]).toEqual([0, 0]);
  });
});

describe('edges by position', () => {
  const edges = (from: number[], to: number[]): { from: number[]; to: number[] } => ({ from, to });

  it('join what is in the batch to what was found, but for what stays out', () => {
    const builder = new GraphBuilder();
    const [a, b, c] = ['a', 'b', 'c'].map((id) => builder.add(resourceOf('T', id)));
    expect(builder.connectAll([a ?? 0, b ?? 0], [c ?? 0, -1], edges([0, 1, 1], [0, 0, 1]))).toBe(true);
    expect(edgesOf(builder.build())).toEqual(['T/a -> T/c', 'T/b -> T/c']);
  });

  it.each([
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, 0.5],
    [Number.NaN, 0],
  ])('are refused from %d to %d', (from, to) => {
    expect(new GraphBuilder().connectAll([0], [0], edges([from], [to]))).toBe(false);
  });
});

describe('the table of positions', () => {
  it('finds 50,000 resources of two types that share ids, and nothing else', () => {
    const builder = new GraphBuilder();
    const resources = Array.from({ length: 50_000 }, (_, at) => resourceOf(`T${at % 2}`, `id-${at >> 1}`));
    for (const [at, resource] of resources.entries()) expect(builder.add(resource)).toBe(at);
    for (const [at, resource] of resources.entries()) expect(builder.add({ ...resource })).toBe(at);
    expect(builder.find({ type: 'T0', id: 'id-25000' })).toBe(-1);
    expect(builder.find({ type: 'T2', id: 'id-0' })).toBe(-1);
  });

  it('finds 300,000 resources whose ids are in no order', () => {
    const resources = Array.from({ length: 300_000 }, (_, at) => ({
      ...{ type: 'T', name: '', attributes: {} },
      id: Math.imul(at + 1, 0x9e3779b1).toString(16) + Math.imul(at + 7, 0x85ebca6b).toString(36),
    }));
    const builder = new GraphBuilder();
    const numbersOf = (): number[] => resources.map((resource) => builder.add(resource));
    const first = numbersOf();
    expect(builder.size).toBe(new Set(resources.map(({ id }) => id)).size);
    expect(numbersOf()).toEqual(first);
    expect(builder.size).toBe(300_000);
  });

  it('finds ids that somebody chose so that all have one hash', () => {
    const ids = collidingIds(12);
    expect(new Set(ids).size).toBe(4_096);
    const builder = new GraphBuilder();
    for (const [at, id] of ids.entries()) expect(builder.add(resourceOf('T', id))).toBe(at);
    for (const [at, id] of ids.entries()) expect(builder.add(resourceOf('T', id))).toBe(at);
    expect(builder.build().resources.map(({ id }) => id)).toEqual([...ids].sort());
  });
});

/** 2 to the power of `blocks` ids that the table's hash, begun for the first type it meets, does not tell apart. */
function collidingIds(blocks: number): readonly string[] {
  const step = (hash: number, code: number): number => Math.imul(hash ^ code, 0x01000193);
  let hash = Math.imul(1, 0x9e3779b1);
  let ids = [''];
  for (let block = 0; block < blocks; block += 1) {
    // Two first characters after which the hashes differ in the lower half only: a second one makes them equal.
    const seen = new Map<number, number>();
    let [first, other] = [-1, -1];
    for (let code = 0; first === -1; code += 1) {
      const high = step(hash, code) >>> 16;
      first = seen.get(high) ?? -1;
      other = code;
      seen.set(high, code);
    }
    const second = 0x41;
    const otherSecond = (step(hash, first) ^ step(hash, other) ^ second) & 0xffff;
    const pair = [String.fromCharCode(first, second), String.fromCharCode(other, otherSecond)];
    ids = ids.flatMap((id) => pair.map((end) => id + end));
    hash = step(step(hash, first), second);
  }
  return ids;
}
