import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphDigest } from '../../../src/core/archive/stored-graph.ts';
import type { Json } from '../../../src/core/contracts/index.ts';
import { difference, isEmptyDifference } from '../../../src/core/graph/difference.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { parsePreviewedGraph, previewedGraph } from '../../../src/core/operations/previewed-graph.ts';
import { acyclicModel } from '../graph/models.ts';
import { resourceOf } from '../graph/system.ts';

const key = (id: string) => ({ type: 'Test::Part', id });
const error = { code: 'UNAVAILABLE', message: 'no answer', retryable: true, hint: 'wait' };
const resources = ['a', 'b', 'c'].map((id) => resourceOf('Test::Part', id));

/** The first of three depends on both others. */
const small = new ResourceGraph(
  resources,
  { from: Uint32Array.of(0, 0), to: Uint32Array.of(1, 2) },
  { excluded: [key('x')], incomplete: [{ resource: key('b'), error }] },
);

const withAttributes = (attributes: Record<string, Json>): ResourceGraph =>
  ResourceGraph.from({
    resources: [{ ...resourceOf('Test::Part', 'a'), attributes }],
    edges: { from: [], to: [] },
  });

describe('a previewed graph', () => {
  it('is a graph again, as it is or after a trip through JSON', () => {
    fc.assert(
      fc.property(acyclicModel, (model) => {
        const builder = new GraphBuilder();
        for (const resource of model.resources) builder.add(resource);
        for (const [from, to] of model.edges) builder.connect(from, to);
        const graph = builder.build({ excluded: small.excluded });
        const plain = previewedGraph(graph);
        const sent = JSON.parse(JSON.stringify(plain));
        expect(sent).toEqual(plain);
        for (const again of [ResourceGraph.from(plain), parsePreviewedGraph('test', sent)]) {
          expect(isEmptyDifference(difference(graph, again))).toBe(true);
          expect(graphDigest(again)).toBe(plain.digest);
        }
      }),
    );
  });

  it('keeps what was left out', () => {
    const { excluded, incomplete } = parsePreviewedGraph('test', previewedGraph(small));
    expect({ excluded, incomplete }).toEqual({ excluded: small.excluded, incomplete: small.incomplete });
  });

  it('is a copy, and of a resource no more than what is stored', () => {
    const attributes = { size: 1 };
    const strange = { ...resourceOf('Test::Part', 'a'), attributes, client: () => 'a secret' };
    const plain = previewedGraph(ResourceGraph.from({ resources: [strange], edges: { from: [], to: [] } }));
    attributes.size = 2;
    expect(plain.resources).toEqual([
      { type: 'Test::Part', id: 'a', name: 'name of a', attributes: { size: 1 } },
    ]);
    expect(parsePreviewedGraph('test', plain).resources).toEqual(plain.resources);
  });

  it('keeps attributes of any name and depth', () => {
    const depth = 2_000;
    const attributes = JSON.parse(`${'{"a":'.repeat(depth)}{"__proto__":1}${'}'.repeat(depth)}`);
    const [resource] = parsePreviewedGraph('test', previewedGraph(withAttributes(attributes))).resources;
    expect(JSON.stringify(resource?.attributes)).toBe(JSON.stringify(attributes));
  });

  it('is refused where attributes are no JSON', () => {
    const round: Record<string, Json> = {};
    round.self = round;
    expect(() => previewedGraph(withAttributes(round))).toThrow(
      expect.objectContaining({ code: 'WRONG_ANSWER' }),
    );
  });

  it('is not refused because a store put the members of attributes in another order', () => {
    const plain = previewedGraph(withAttributes({ size: 1, zone: 'a' }));
    const [resource = resourceOf('', '')] = plain.resources;
    const reordered = { ...plain, resources: [{ ...resource, attributes: { zone: 'a', size: 1 } }] };
    const again = parsePreviewedGraph('test', reordered);
    expect(isEmptyDifference(difference(ResourceGraph.from(plain), again))).toBe(true);
  });
});

describe('a previewed graph that somebody changed', () => {
  const plain = previewedGraph(small);
  const [a, b, c] = resources;

  it.each<[string, unknown]>([
    ['is a digest alone', plain.digest],
    ['is missing', undefined],
    ['has no digest', { ...plain, digest: undefined }],
    ['has something more', { ...plain, order: [0] }],
    ['has no edges', { ...plain, edges: undefined }],
    ['has edges with one end', { ...plain, edges: { from: [0, 0], to: [1] } }],
    ['has edges that point nowhere', { ...plain, edges: { from: [0], to: [3] } }],
    ['has edges from nowhere', { ...plain, edges: { from: [3], to: [0] } }],
    ['has edges to text', { ...plain, edges: { from: [0], to: ['1'] } }],
    ['has edges to a fraction', { ...plain, edges: { from: [0], to: [0.5] } }],
    ['has edges out of order', { ...plain, edges: { from: [1, 0], to: [2, 1] } }],
    ['has an edge twice', { ...plain, edges: { from: [0, 0], to: [1, 1] } }],
    ['has a cycle', { ...plain, edges: { from: [0, 1], to: [1, 0] } }],
    ['has resources out of order', { ...plain, resources: [b, a, c] }],
    ['has a resource twice', { ...plain, resources: [a, b, b] }],
    ['has a resource without a name', { ...plain, resources: [a, b, { ...c, name: undefined }] }],
    ['has attributes that are a list', { ...plain, resources: [a, b, { ...c, attributes: [] }] }],
    ['has an excluded key twice', { ...plain, excluded: [key('x'), key('x')] }],
    ['has a gap without a reason', { ...plain, incomplete: [{ resource: key('b') }] }],
    [
      'has gaps out of order',
      { ...plain, incomplete: ['b', 'a'].map((id) => ({ resource: key(id), error })) },
    ],
  ])('is refused where it %s', (_, value) => {
    expect(() => parsePreviewedGraph('run: graph', value)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTIONS',
        message: expect.stringMatching(/^run: graph: /),
      }),
    );
  });
});
