import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ResourceKey } from '../../../src/core/contracts/index.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import { layoutOf, NODE_WIDTH, pictureOf, shorten } from '../../../src/core/graph/layout.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model): ResourceGraph {
  const builder = new GraphBuilder();
  for (const resource of resources) builder.add(resource);
  for (const [from, to] of edges) builder.connect(from, to);
  return builder.build();
}

const text = fc.string({ unit: 'binary', maxLength: 60 });

describe('shortening', () => {
  it('keeps short texts as they are', () => {
    expect(shorten('web-01 (Frankfurt) #2', 32)).toBe('web-01 (Frankfurt) #2');
  });

  it('leaves out the middle of long ones, for their ends tell them apart', () => {
    expect(shorten(`tenant-${'x'.repeat(1_000_000)}-disk-1`, 20)).toBe('tenant-xxxxxx\u2026disk-1');
  });

  it('counts wide letters twice', () => {
    expect(shorten('\u5b57'.repeat(10), 20)).toBe('\u5b57'.repeat(10));
    expect(shorten('\u5b57'.repeat(11), 20)).toBe(`${'\u5b57'.repeat(6)}\u2026${'\u5b57'.repeat(3)}`);
  });

  it.each([
    ['a\nb\t c ', 'a b c'],
    ['\u0000a\u001b[31m', '\ufffda\ufffd[31m'],
    ['\u202Egnp.exe', '\ufffdgnp.exe'],
    ['\ud800a', '\ufffda'],
    ['a\uffff', 'a\ufffd'],
    ['\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645', '\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645'],
  ])('cleans %j', (dirty, clean) => {
    expect(shorten(dirty, 32)).toBe(clean);
  });

  it('never keeps what is too wide or cannot be printed', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 500 }),
        fc.integer({ min: 8, max: 40 }),
        (long, width) => {
          const short = shorten(long, width);
          expect(Array.from(short).length).toBeLessThanOrEqual(width);
          expect(short.replace(/[\u200c\u200d]/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]|[\ufffe\uffff]/u);
          expect(short).toBe(short.trim());
        },
      ),
    );
  });
});

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
    const states = new Map([
      ['Test::Server/5e2b', 'failed'],
      ['Test::Volume/data', 'thawing'],
    ]);
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

  it('takes states from a function or a map alike', () => {
    const states = (key: ResourceKey): string | undefined => (key.id === 'data' ? 'done' : undefined);
    const map = new Map([['Test::Volume/data', 'done']]);
    expect(pictureOf(small, { states }, roomy)).toEqual(pictureOf(small, { states: map }, roomy));
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
});

describe('a layout', () => {
  const anyEdges = fc.array(fc.tuple(fc.nat(29), fc.nat(29)), { maxLength: 60 });
  const anyHeights = fc.array(fc.integer({ min: 20, max: 150 }), { minLength: 30, maxLength: 30 });
  const forwards = anyEdges.map((edges) =>
    edges.flatMap(([a, b]) => (a === b ? [] : [[Math.min(a, b), Math.max(a, b)] as const])),
  );

  it('puts everything inside, and no node on another, cycles or not', () => {
    fc.assert(
      fc.property(anyHeights, anyEdges, (heights, edges) => {
        const { boxes, curves, width, height } = layoutOf(heights, edges);
        for (const { points } of curves) {
          expect(points.every((value, at) => value >= 0 && value <= (at % 2 === 0 ? width : height))).toBe(
            true,
          );
        }
        const columns = Map.groupBy(
          boxes.map(({ x, y }, node) => ({ x, y, end: y + (heights[node] ?? 0) })),
          ({ x }) => x,
        );
        for (const [x, column] of columns) {
          expect(x).toBeGreaterThan(0);
          expect(x + NODE_WIDTH).toBeLessThan(width);
          column.sort((a, b) => a.y - b.y);
          expect(column[0]?.y).toBeGreaterThan(0);
          expect(column.at(-1)?.end).toBeLessThan(height);
          for (const [at, { y }] of column.entries()) expect(y).toBeGreaterThan(column[at - 1]?.end ?? 0);
        }
      }),
    );
  });

  it('leads every edge rightwards from node to node, and nowhere else', () => {
    fc.assert(
      fc.property(anyHeights, forwards, (heights, edges) => {
        const { boxes, curves } = layoutOf(heights, edges);
        const onwards = Map.groupBy(curves, ({ points }) => `${points[0]},${points[1]}`);
        const middleOf = (node: number): number =>
          (boxes[node]?.y ?? 0) + Math.round((heights[node] ?? 0) / 2);
        const nodeAt = new Map(boxes.map(({ x }, node) => [`${x},${middleOf(node)}`, node]));
        const drawn = boxes.flatMap(({ x }, from) => {
          const reached = new Set([`${x + NODE_WIDTH},${middleOf(from)}`]);
          for (const place of reached) {
            for (const { points, arrow } of onwards.get(place) ?? []) {
              const end = `${points[6]},${points[7]}`;
              expect(points[6]).toBeGreaterThan(points[0] ?? 0);
              expect(arrow).toBe(nodeAt.has(end) ? 'right' : null);
              reached.add(end);
            }
          }
          return [...reached].flatMap((end) => {
            const to = nodeAt.get(end);
            return to === undefined ? [] : [`${from} -> ${to}`];
          });
        });
        expect(new Set(drawn)).toEqual(new Set(edges.map(([from, to]) => `${from} -> ${to}`)));
      }),
    );
  });

  it('shares one lane among all that pass a layer on the way to one node', () => {
    const heights = Array.from({ length: 12 }, () => 40);
    const around = Array.from({ length: 10 }, (_, at) => [at, 11] as const);
    const { curves } = layoutOf(heights, [...around, ...around.map(([at]) => [at, 10] as const), [10, 11]]);
    expect(
      curves.filter(({ points }) => points[1] === points[3] && points[6] === (points[0] ?? 0) + NODE_WIDTH),
    ).toHaveLength(1);
  });

  it('lets edges enter a lane where they are, not where it begins', () => {
    // 0 and 2 depend on 4, past one layer and three; 0, 1, 2, 3, 4 are a chain.
    const chain = [0, 1, 2, 3].map((at) => [at, at + 1] as const);
    const { curves } = layoutOf([40, 40, 40, 40, 40], [...chain, [0, 4], [2, 4]]);
    expect(curves.every(({ points }) => (points[6] ?? 0) > (points[0] ?? 0))).toBe(true);
  });

  it('keeps the order around a node that depends on its like', () => {
    const { boxes } = layoutOf(
      [40, 40, 40],
      [
        [2, 1],
        [1, 1],
        [1, 0],
      ],
    );
    const [last = 0, middle = 0, first = 0] = boxes.map(({ x }) => x);
    expect([first < middle, middle < last]).toEqual([true, true]);
  });

  it('opens a cycle, and draws one of its edges back', () => {
    const { boxes, curves } = layoutOf(
      [40, 40],
      [
        [0, 1],
        [1, 0],
        [1, 1],
      ],
    );
    expect(boxes[0]?.x).toBeLessThan(boxes[1]?.x ?? 0);
    expect(curves.map(({ arrow }) => arrow)).toEqual(['right', 'left', 'left']);
  });

  it('of a chain of 500 with edges from its head to all others goes on without lanes', () => {
    const heights = Array.from({ length: 500 }, () => 40);
    const edges = heights.flatMap((_, at) => (at === 0 ? [] : [[0, at] as const, [at - 1, at] as const]));
    expect(layoutOf(heights, edges).curves).toHaveLength(edges.length);
  });

  it('of text in any script is the same each time', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), (names) => {
        const resources = names.map((name, at) => ({ ...resourceOf('Test::Part', `r${at}`), name }));
        const graph = graphOf({ resources, edges: [] });
        const again = graphOf({ resources: resources.toReversed(), edges: [] });
        const limits = { resources: 100, edges: 100 };
        expect(pictureOf(again, {}, limits)).toEqual(pictureOf(graph, {}, limits));
      }),
    );
  });
});
