import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ResourceKey } from '../../../src/core/contracts/index.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import { pictureOf } from '../../../src/core/graph/picture.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model): ResourceGraph {
  const builder = new GraphBuilder();
  for (const resource of resources) builder.add(resource);
  for (const [from, to] of edges) builder.connect(from, to);
  return builder.build();
}

describe('what is drawn of a graph', () => {
  const roomy = { resources: 100, edges: 100 };
  const small = graphOf({
    resources: [
      { ...resourceOf('Test::Server', '5e2b'), name: 'web' },
      { ...resourceOf('Test::Volume', 'data'), name: 'data' },
      { ...resourceOf('Test::Volume', 'logs'), name: ' ' },
    ],
    edges: [
      [0, 1],
      [0, 2],
    ],
  });

  it('is each resource with its name, type, id and state', () => {
    const known = new Map([
      ['5e2b', 'failed'],
      ['data', 'thawing'],
    ]);
    const states = ({ id }: ResourceKey): string | undefined => known.get(id);
    expect(pictureOf(small, { states }, roomy)).toEqual({
      nodes: [
        { lines: ['web', 'Test::Server', '5e2b', 'failed'], look: 'failed' },
        { lines: ['data', 'Test::Volume', 'thawing'], look: 'other' },
        { lines: ['logs', 'Test::Volume'], look: 'plain' },
      ],
      edges: [
        [0, 1],
        [0, 2],
      ],
      description: '3 resources, 2 edges, 1 failed, 1 in another state',
    });
  });

  it.each([
    { resources: 2, edges: 100 },
    { resources: 100, edges: 1 },
  ])('is a node per type beyond %o', (limits) => {
    const states = ({ id }: ResourceKey): string | undefined => (id === 'data' ? 'done' : undefined);
    expect(pictureOf(small, { states }, limits)).toEqual({
      nodes: [
        { lines: ['Test::Volume', '2 resources', '1 done'], look: 'done' },
        { lines: ['Test::Server', '1 resource'], look: 'plain' },
      ],
      edges: [[1, 0]],
      description: '3 resources, 2 edges, 1 done, shown by type',
    });
  });

  it('has the colour of the most pressing state where a type has several', () => {
    const states = ({ id }: ResourceKey): string => (id === 'data' ? 'done' : 'failed');
    const { nodes } = pictureOf(small, { states }, { resources: 0, edges: 0 });
    expect(nodes[0]).toEqual({
      lines: ['Test::Volume', '2 resources', '1 failed', '1 done'],
      look: 'failed',
    });
  });

  it('joins all but the 20 largest types, and shows dependencies within a type', () => {
    const resources = Array.from({ length: 1_000 }, (_, at) =>
      resourceOf(`Test::T${Math.min(at, 900)}`, `r${at}`),
    );
    const edges = [
      [998, 999],
      [0, 999],
    ] as const;
    const picture = pictureOf(graphOf({ resources, edges }), { states: ({ id }) => id }, roomy);
    expect(picture.nodes).toHaveLength(21);
    expect(picture.nodes[0]?.lines).toEqual(['Test::T900', '100 resources', '100 in another state']);
    expect(picture.nodes[20]?.lines).toEqual(['881 more types', '881 resources', '881 in another state']);
    expect(picture.edges).toContainEqual([0, 0]);
  });

  it('of text in any script is the same each time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { minLength: 1, maxLength: 8 }),
        (names) => {
          const resources = names.map((name, at) => ({ ...resourceOf('Test::Part', `r${at}`), name }));
          const graph = graphOf({ resources, edges: [] });
          const again = graphOf({ resources: resources.toReversed(), edges: [] });
          const limits = { resources: 100, edges: 100 };
          expect(pictureOf(again, {}, limits)).toEqual(pictureOf(graph, {}, limits));
        },
      ),
    );
  });
});
