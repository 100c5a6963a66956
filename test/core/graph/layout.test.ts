import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layoutOf, NODE_WIDTH } from '../../../src/core/graph/layout.ts';

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
});
