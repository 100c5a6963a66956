import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  IncompleteResource,
  Json,
  JsonObject,
  Resource,
  ResourceKey,
} from '../../../src/core/contracts/index.ts';
import {
  describeDifference,
  difference,
  type GraphDifference,
  isEmptyDifference,
  type KeyedEdge,
} from '../../../src/core/graph/difference.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import { compareKeys, type GraphGaps, ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { keyOf, type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model, gaps: Partial<GraphGaps> = {}): ResourceGraph {
  const builder = new GraphBuilder();
  for (const resource of resources) builder.add(resource);
  for (const [from, to] of edges) builder.connect(from, to);
  return builder.build(gaps);
}

/** Some keys in order, none twice. */
const someKeys = (prefix: string): fc.Arbitrary<ResourceKey[]> =>
  fc
    .uniqueArray(fc.nat(11))
    .map((ids) =>
      ids
        .map((id) => ({ type: ['Test::A', 'Test::B'][id % 2] ?? '', id: `${prefix}${id}` }))
        .sort(compareKeys),
    );

/** What some discovery left out, each reason another. */
const someGaps: fc.Arbitrary<GraphGaps> = fc.record({
  excluded: someKeys('x'),
  incomplete: fc
    .tuple(someKeys(''), fc.string())
    .map(([keys, reason]) => keys.map((key) => incompleteFor(key, reason))),
});

const incompleteFor = (resource: ResourceKey, message: string): IncompleteResource => ({
  resource,
  error: { code: 'UNAVAILABLE', message, retryable: true, hint: '' },
});

/** Some of twelve resources, and some edges among them, from lower to higher. */
const someGraph: fc.Arbitrary<ResourceGraph> = fc
  .record({
    found: fc.array(
      fc.option(
        fc.record({
          name: fc.constantFrom('web', 'data'),
          tags: fc.option(fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('', '1')), {
            nil: undefined,
          }),
          attributes: fc.dictionary(
            fc.constantFrom('size', 'zone', 'valueOf'),
            fc.jsonValue({ maxDepth: 2 }),
          ),
        }),
      ),
      { minLength: 12, maxLength: 12 },
    ),
    edges: fc.array(fc.tuple(fc.nat(11), fc.nat(11)), { maxLength: 30 }),
    gaps: someGaps,
  })
  .map(({ found, edges, gaps }) => {
    const types = ['Test::B', 'Test::A', 'Test::C'];
    const places = found.map((facts, at) => ({ facts, type: types[at % 3] ?? '', id: `${(at * 7) % 12}` }));
    const present = places.flatMap(({ facts, type, id }, at) => {
      if (facts === null) return [];
      const { tags, ...others } = facts;
      return [{ at, resource: { type, id, ...others, ...(tags === undefined ? {} : { tags }) } }];
    });
    const numbers = new Map(present.map(({ at }, number) => [at, number]));
    const model = {
      resources: present.map(({ resource }) => resource),
      edges: edges.flatMap(([a, b]) => {
        const [from, to] = [numbers.get(Math.min(a, b)), numbers.get(Math.max(a, b))];
        return a === b || from === undefined || to === undefined ? [] : [[from, to] as const];
      }),
    };
    return graphOf(model, gaps);
  });

/** JSON by which equal values have equal texts. */
const canonical = (value: Json | undefined): string =>
  JSON.stringify(value, (_, inner: Json) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  ) ?? 'none';

const textOf = ({ from, to }: KeyedEdge): string => `${keyOf(from)} -> ${keyOf(to)}`;

const edgesOf = ({ resources, edges }: ResourceGraph): string[] =>
  Array.from(edges.from, (from, edge) =>
    [from, edges.to[edge] ?? -1]
      .flatMap((at) => resources[at] ?? [])
      .map(keyOf)
      .join(' -> '),
  );

const factsOf = ({ name, tags = {}, attributes }: Resource): string => canonical({ name, tags, attributes });

function replace(was: JsonObject, is: JsonObject, names: readonly string[]): Record<string, Json> {
  const members = { ...was, ...Object.fromEntries(names.map((name) => [name, is[name]])) };
  return JSON.parse(JSON.stringify(members));
}

/** The earlier graph with every listed difference taken from the later one, and nothing else. */
function apply(before: ResourceGraph, found: GraphDifference, after: ResourceGraph): object {
  const later = new Map(after.resources.map((resource) => [keyOf(resource), resource]));
  const result = new Map(before.resources.map((resource) => [keyOf(resource), factsOf(resource)]));
  for (const key of found.gone) expect(result.delete(keyOf(key))).toBe(true);
  for (const key of found.added) {
    expect(result.has(keyOf(key))).toBe(false);
    const resource = later.get(keyOf(key));
    result.set(keyOf(key), resource === undefined ? '?' : factsOf(resource));
  }
  const earlier = new Map(before.resources.map((resource) => [keyOf(resource), resource]));
  for (const { key, name, tags, attributes } of found.changed) {
    const [was, is] = [earlier.get(keyOf(key)), later.get(keyOf(key))];
    if (was === undefined || is === undefined) throw new Error(`${keyOf(key)} is not in both`);
    const changed = {
      name: name ? is.name : was.name,
      tags: replace(was.tags ?? {}, is.tags ?? {}, tags),
      attributes: replace(was.attributes, is.attributes, attributes),
    };
    result.set(keyOf(key), canonical(changed));
  }
  const edges = new Set(edgesOf(before));
  for (const edge of found.edgesGone) expect(edges.delete(textOf(edge))).toBe(true);
  for (const edge of found.edgesAdded) {
    expect(edges.has(textOf(edge))).toBe(false);
    edges.add(textOf(edge));
  }
  return {
    resources: result,
    edges,
    excluded: changeKeys(before.excluded, found.excludedAdded, found.excludedGone),
    incomplete: changeKeys(incompleteIn(before), found.incompleteAdded, found.incompleteGone),
  };
}

const incompleteIn = ({ incomplete }: ResourceGraph): ResourceKey[] =>
  incomplete.map(({ resource }) => resource);

function changeKeys(
  before: readonly ResourceKey[],
  added: readonly ResourceKey[],
  gone: readonly ResourceKey[],
): Set<string> {
  const keys = new Set(before.map(keyOf));
  for (const key of gone) expect(keys.delete(keyOf(key))).toBe(true);
  for (const key of added) expect(keys.has(keyOf(key))).toBe(false);
  for (const key of added) keys.add(keyOf(key));
  return keys;
}

const one = (change: object): ResourceGraph =>
  graphOf({ resources: [{ ...resourceOf('Test::Volume', 'v'), ...change }], edges: [] });

describe('a difference', () => {
  it('applied to the earlier graph gives the later one', () => {
    fc.assert(
      fc.property(someGraph, someGraph, (before, after) => {
        expect(apply(before, difference(before, after), after)).toEqual({
          resources: new Map(after.resources.map((resource) => [keyOf(resource), factsOf(resource)])),
          edges: new Set(edgesOf(after)),
          excluded: new Set(after.excluded.map(keyOf)),
          incomplete: new Set(incompleteIn(after).map(keyOf)),
        });
      }),
      { numRuns: 500 },
    );
  });

  it('lists only what differs, the other way round from the other side, as plain data', () => {
    fc.assert(
      fc.property(someGraph, someGraph, (before, after) => {
        const found = difference(before, after);
        const back = difference(after, before);
        expect(found).toEqual({
          added: back.gone,
          gone: back.added,
          changed: back.changed,
          edgesAdded: back.edgesGone,
          edgesGone: back.edgesAdded,
          excludedAdded: back.excludedGone,
          excludedGone: back.excludedAdded,
          incompleteAdded: back.incompleteGone,
          incompleteGone: back.incompleteAdded,
        });
        for (const list of [found.excludedAdded, found.incompleteAdded]) {
          expect(list).toEqual(list.toSorted(compareKeys));
        }
        expect(JSON.parse(JSON.stringify(found))).toEqual(found);
        for (const { key, name, tags, attributes } of found.changed) {
          const [was, is] = [before, after].map(({ resources }) =>
            resources.find((r) => keyOf(r) === keyOf(key)),
          );
          expect(name).toBe(was?.name !== is?.name);
          expect(Number(name) + tags.length + attributes.length).toBeGreaterThan(0);
          for (const tag of tags) expect(was?.tags?.[tag]).not.toBe(is?.tags?.[tag]);
          for (const attribute of attributes) {
            expect(canonical(was?.attributes[attribute])).not.toBe(canonical(is?.attributes[attribute]));
          }
        }
      }),
    );
  });

  it('of a graph and itself, or the same read from JSON, is empty', () => {
    fc.assert(
      fc.property(someGraph, (graph) => {
        const resources: Resource[] = JSON.parse(JSON.stringify(graph.resources));
        const edges = Array.from(
          graph.edges.from,
          (from, edge) => [from, graph.edges.to[edge] ?? -1] as const,
        );
        const model = {
          resources: resources.toReversed(),
          edges: edges.map(([from, to]) => [resources.length - 1 - from, resources.length - 1 - to] as const),
        };
        const incomplete = graph.incomplete.map(({ resource }) => incompleteFor(resource, 'another reason'));
        const found = difference(graph, graphOf(model, { excluded: graph.excluded, incomplete }));
        expect(new Set(Object.values(found).map(({ length }) => length))).toEqual(new Set([0]));
        expect(isEmptyDifference(found)).toBe(true);
      }),
    );
  });

  it.each<[string, object, object]>([
    ['the order of members', { a: { x: 1, y: [{ p: 1, q: 2 }] } }, { a: { y: [{ q: 2, p: 1 }], x: 1 } }],
    ['a member that is undefined', { a: { x: 1, y: undefined }, b: undefined }, { a: { x: 1 } }],
  ])('takes no notice of %s', (_, was, is) => {
    expect(isEmptyDifference(difference(one({ attributes: was }), one({ attributes: is })))).toBe(true);
    expect(isEmptyDifference(difference(one({ attributes: is }), one({ attributes: was })))).toBe(true);
  });

  it.each<[string, Json, Json]>([
    ['the order of a list', [1, 2], [2, 1]],
    ['the length of a list', [1], [1, 2]],
    ['a list and an object', [1], { 0: 1 }],
    ['null and an object', null, {}],
    ['a number and its text', 1, '1'],
    ['what lies deep', { x: [{ y: 1 }] }, { x: [{ y: 2 }] }],
    ['an inherited name and a member of its own', {}, JSON.parse('{"__proto__":{}}')],
  ])('tells apart %s', (_, was, is) => {
    const attributes = ['a'];
    for (const [left, right] of [
      [was, is],
      [is, was],
    ]) {
      const found = difference(one({ attributes: { a: left } }), one({ attributes: { a: right } }));
      expect(found.changed).toEqual([
        { key: { type: 'Test::Volume', id: 'v' }, name: false, tags: [], attributes },
      ]);
    }
  });

  it('compares attributes that are nested 100,000 deep', () => {
    const deep = (inner: string): Json => JSON.parse(`${'['.repeat(100_000)}${inner}${']'.repeat(100_000)}`);
    const graphs = [deep('1'), deep('1'), deep('2')].map((a) => one({ attributes: { a } }));
    const [first = one({}), second = one({}), third = one({})] = graphs;
    expect(isEmptyDifference(difference(first, second))).toBe(true);
    expect(difference(first, third).changed[0]?.attributes).toEqual(['a']);
  });

  it('takes tags that are missing for none', () => {
    expect(isEmptyDifference(difference(one({}), one({ tags: {} })))).toBe(true);
    expect(difference(one({}), one({ tags: { tier: 'gold' } })).changed[0]?.tags).toEqual(['tier']);
  });

  it('of chains of a million finds the one that changed', () => {
    const resources = Array.from({ length: 1_000_000 }, (_, at) =>
      resourceOf('Test::Link', String(at).padStart(7, '0')),
    );
    const from = Uint32Array.from(resources, (_, at) => at);
    const chain = (length: number): ResourceGraph =>
      new ResourceGraph(resources.slice(0, length), {
        from: from.subarray(0, length - 1),
        to: from.subarray(1, length),
      });
    expect(describeDifference(difference(chain(999_999), chain(1_000_000)))).toBe(
      '1 added (Test::Link/0999999); 1 edge added (Test::Link/0999998 -> Test::Link/0999999)',
    );
  });
});

describe('the description of a difference', () => {
  const volume = (id: string, change: object = {}): Resource => ({
    ...resourceOf('Test::Volume', id),
    ...change,
  });

  it('counts, and names the first few', () => {
    const before = graphOf({ resources: ['a', 'b'].map((id) => volume(id)), edges: [[0, 1]] });
    const after = graphOf({
      resources: [
        volume('b', { name: 'new', tags: { tier: 'gold' }, attributes: { size: 1 } }),
        ...['c', 'd', 'e', 'f'].map((id) => volume(id)),
      ],
      edges: [[1, 0]],
    });
    expect(describeDifference(difference(before, after))).toBe(
      '4 added (Test::Volume/c, Test::Volume/d, Test::Volume/e, ...); 1 gone (Test::Volume/a); ' +
        '1 changed (Test::Volume/b: name, tag tier, id, ...); ' +
        '1 edge added (Test::Volume/c -> Test::Volume/b); 1 edge gone (Test::Volume/a -> Test::Volume/b)',
    );
  });

  it('names what was left out, and what no longer is', () => {
    const gap = (id: string): ResourceKey => ({ type: 'Test::Volume', id });
    const model = { resources: ['a', 'b'].map((id) => volume(id)), edges: [] };
    const before = graphOf(model, { excluded: [gap('x')], incomplete: [incompleteFor(gap('a'), 'timeout')] });
    const after = graphOf(model, {
      excluded: [gap('y')],
      incomplete: [incompleteFor(gap('b'), 'timeout')],
    });
    expect(describeDifference(difference(before, after))).toBe(
      '1 excluded (Test::Volume/y); 1 no longer excluded (Test::Volume/x); ' +
        '1 incomplete (Test::Volume/b); 1 no longer incomplete (Test::Volume/a)',
    );
  });

  it('says when there is none', () => {
    expect(describeDifference(difference(one({}), one({})))).toBe('no difference');
  });

  it('stays short and on one line, whatever the names', () => {
    const strange = Array.from({ length: 9 }, (_, at) => volume(`${at}\n\u001b[31m${'x'.repeat(1_000)}`));
    const text = describeDifference(difference(one({}), graphOf({ resources: strange, edges: [] })));
    expect(text.length).toBeLessThan(400);
    expect(text).not.toMatch(/\p{Cc}/u);
  });
});
