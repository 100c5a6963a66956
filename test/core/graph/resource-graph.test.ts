import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FafnirError } from '../../../src/core/errors.ts';
import { compareKeys, ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { acyclicModel, anyModel } from './models.ts';
import { keyOf, type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model): ResourceGraph {
  const sorted = [...edges].sort(([a, b], [c, d]) => a - c || b - d);
  const columns = {
    from: Uint32Array.from(sorted, ([from]) => from),
    to: Uint32Array.from(sorted, ([, to]) => to),
  };
  return new ResourceGraph(resources, columns);
}

function isAcyclic({ resources, edges }: Model): boolean {
  let left = new Set(resources.keys());
  for (;;) {
    const free = [...left].filter((at) => !edges.some(([from, to]) => from === at && left.has(to)));
    if (free.length === 0) return left.size === 0;
    left = new Set([...left].filter((at) => !free.includes(at)));
  }
}

describe('the order of a graph', () => {
  it('has each resource once, after all that it depends on', () => {
    fc.assert(
      fc.property(acyclicModel, (model) => {
        const { order } = graphOf(model);
        expect([...order].sort((a, b) => a - b)).toEqual([...model.resources.keys()]);
        for (const [from, to] of model.edges) expect(order.indexOf(to)).toBeLessThan(order.indexOf(from));
      }),
    );
  });

  it('is found for a chain as deep as the graph', () => {
    const length = 20_000;
    const resources = Array.from({ length }, (_, at) => resourceOf('Test::Link', `link-${at}`));
    const edges = Array.from({ length: length - 1 }, (_, at) => [at, at + 1] as const);
    const { order } = graphOf({ resources, edges });
    expect([...order]).toEqual([...resources.keys()].reverse());
  });

  it('is empty for an empty graph', () => {
    expect(graphOf({ resources: [], edges: [] }).order).toHaveLength(0);
  });
});

describe('dependencies', () => {
  it('are those of the resource at the position', () => {
    fc.assert(
      fc.property(acyclicModel, (model) => {
        const graph = graphOf(model);
        for (const at of model.resources.keys()) {
          const expected = model.edges.filter(([from]) => from === at).map(([, to]) => to);
          expect([...graph.dependencies(at)]).toEqual(expected.sort((a, b) => a - b));
        }
      }),
    );
  });
});

describe('dependants', () => {
  it('are those that depend on the resource at the position', () => {
    fc.assert(
      fc.property(acyclicModel, (model) => {
        const graph = graphOf(model);
        for (const at of model.resources.keys()) {
          const expected = model.edges.filter(([, to]) => to === at).map(([from]) => from);
          expect([...graph.dependants(at)]).toEqual(expected.sort((a, b) => a - b));
        }
      }),
    );
  });
});

describe('a position', () => {
  it('is found for every key of the graph and for no other', () => {
    fc.assert(
      fc.property(acyclicModel, ({ resources }) => {
        const sorted = [...resources].sort(compareKeys);
        const graph = ResourceGraph.from({ resources: sorted, edges: { from: [], to: [] } });
        for (const [at, { type, id }] of sorted.entries()) {
          expect(graph.position({ type, id })).toBe(at);
          expect(graph.position({ type, id: `${id}!` })).toBeUndefined();
          expect(graph.position({ type: `${type}!`, id })).toBeUndefined();
        }
      }),
    );
  });
});

describe('gaps', () => {
  it('are none unless given', () => {
    const columns = { resources: [], edges: { from: [], to: [] } };
    const error = { code: 'UNAVAILABLE', message: 'no answer', retryable: true, hint: 'wait' };
    const gaps = {
      excluded: [{ type: 'T', id: 'a' }],
      incomplete: [{ resource: { type: 'T', id: 'b' }, error }],
    };
    expect(ResourceGraph.from(columns)).toMatchObject({ excluded: [], incomplete: [] });
    expect(ResourceGraph.from({ ...columns, ...gaps })).toMatchObject(gaps);
  });
});

describe('a cycle', () => {
  it('is refused exactly where there is one, with a path of real edges that comes round', () => {
    fc.assert(
      fc.property(anyModel, (model) => {
        const error = errorOf(() => graphOf(model));
        expect(error === undefined).toBe(isAcyclic(model));
        if (error === undefined) return;
        expect(FafnirError.is(error, 'CYCLE')).toBe(true);
        const path = error.message.slice(error.message.indexOf(': ') + 2).split(' -> ');
        expect(path.length).toBeGreaterThan(1);
        expect(path.length).toBeLessThanOrEqual(21);
        expect(path.at(-1)).toBe(path[0]);
        expect(new Set(path).size).toBe(path.length - 1);
        if (path.length === 21) return;
        const edges = new Set(
          model.edges.map((edge) =>
            edge.map((at) => keyOf(model.resources[at] ?? { type: '', id: '' })).join(),
          ),
        );
        for (const [at, from] of path.slice(0, -1).entries())
          expect(edges).toContain([from, path[at + 1]].join());
      }),
    );
  });

  it('is found at the end of a deep chain', () => {
    const length = 20_000;
    const resources = Array.from({ length }, (_, at) => resourceOf('Test::Link', `link-${at}`));
    const edges = Array.from({ length }, (_, at) => [at, Math.min(at + 1, length - 1)] as const);
    expect(() => graphOf({ resources, edges })).toThrow(
      'resources depend on each other: Test::Link/link-19999 -> Test::Link/link-19999',
    );
  });
});

function errorOf(work: () => unknown): Error | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
