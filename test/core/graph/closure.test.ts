import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closure } from '../../../src/core/graph/closure.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { acyclicModel } from './models.ts';
import { keyOf, type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model): ResourceGraph {
  const builder = new GraphBuilder();
  for (const resource of resources) builder.add(resource);
  for (const [from, to] of edges) builder.connect(from, to);
  return builder.build();
}

const keysAt = ({ resources }: ResourceGraph, positions: Uint32Array): string[] =>
  Array.from(positions, (position) => resources[position]).map((one) =>
    one === undefined ? '?' : keyOf(one),
  );

const diamond = graphOf({
  resources: ['top', 'left', 'right', 'bottom', 'other'].map((id) => resourceOf('Test::Part', id)),
  edges: [
    [0, 1],
    [0, 2],
    [1, 3],
    [2, 3],
    [4, 3],
  ],
});

const part = (id: string): { type: string; id: string } => ({ type: 'Test::Part', id });

describe('a closure', () => {
  it('is what was chosen and all it depends on, and says what was added', () => {
    const { positions, added } = closure(diamond, [part('left')]);
    expect(keysAt(diamond, positions)).toEqual(['Test::Part/bottom', 'Test::Part/left']);
    expect(keysAt(diamond, added)).toEqual(['Test::Part/bottom']);
  });

  it('does not count as added what was chosen too, in whatever order and however often', () => {
    for (const chosen of [
      ['left', 'bottom'],
      ['bottom', 'left', 'left'],
    ]) {
      expect(closure(diamond, chosen.map(part)).added).toHaveLength(0);
    }
  });

  it('of nothing is nothing', () => {
    expect(closure(diamond, [])).toEqual({ positions: new Uint32Array(), added: new Uint32Array() });
  });

  it.each([part('gone'), { type: 'Test::Other', id: 'top' }])(
    'refuses what is not in the graph: %o',
    (key) => {
      const message = expect.stringContaining(keyOf(key));
      expect(() => closure(diamond, [part('top'), key])).toThrow(
        expect.objectContaining({ code: 'NOT_FOUND', message }),
      );
    },
  );

  it('is the smallest part that holds the chosen and is closed', () => {
    fc.assert(
      fc.property(acyclicModel, fc.array(fc.nat(), { maxLength: 4 }), (model, picks) => {
        const graph = graphOf(model);
        const chosen = picks.flatMap((pick) => model.resources[pick % model.resources.length] ?? []);
        const reached = new Set(chosen.map(keyOf));
        const edges = model.edges.map((edge) => edge.flatMap((at) => model.resources[at] ?? []).map(keyOf));
        for (const key of reached) for (const [from, to] of edges) if (from === key) reached.add(to ?? '');
        const { positions, added } = closure(graph, chosen);
        expect([...positions]).toEqual([...positions].sort((a, b) => a - b));
        expect(new Set(keysAt(graph, positions))).toEqual(reached);
        const asked = new Set(chosen.map(keyOf));
        expect(keysAt(graph, added)).toEqual(keysAt(graph, positions).filter((key) => !asked.has(key)));
      }),
    );
  });

  it('follows a chain of a million', () => {
    const length = 1_000_000;
    const resources = Array.from({ length }, (_, at) =>
      resourceOf('Test::Link', String(at).padStart(7, '0')),
    );
    const edges = Array.from({ length: length - 1 }, (_, at) => [at, at + 1] as const);
    const { positions, added } = closure(graphOf({ resources, edges }), resources.slice(1, 2));
    expect([positions.length, added.length, added[0]]).toEqual([length - 1, length - 2, 2]);
  });
});
