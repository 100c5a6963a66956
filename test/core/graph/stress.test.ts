import { describe, expect, it } from 'vitest';
import type { Dependencies, Resource } from '../../../src/core/contracts/index.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { emptyPlugin } from './system.ts';

const MILLION = 1_000_000;
const DIAMONDS = 1_000;
const CORNERS = 3;

const resourcesOf = (count: number): Resource[] =>
  Array.from({ length: count }, (_, at) => ({
    type: 'T',
    id: String(at).padStart(7, '0'),
    name: '',
    attributes: {},
  }));

/** A graph whose edges follow from the positions, asked for one position after the other. */
function graphOf(count: number, rowOf: (at: number) => readonly number[]): ResourceGraph {
  const from: number[] = [];
  const to: number[] = [];
  for (let at = 0; at < count; at += 1) {
    for (const target of rowOf(at)) {
      from.push(at);
      to.push(target);
    }
  }
  return ResourceGraph.from({ resources: resourcesOf(count), edges: { from, to } });
}

/** Each diamond's bottom is the top of the next, so that the ways through double with each. */
const diamondRow = (at: number): readonly number[] => {
  if (at >= CORNERS * DIAMONDS) return [];
  const top = at - (at % CORNERS);
  return at === top ? [top + 1, top + 2] : [top + CORNERS];
};

describe('a chain of 1,000,000', () => {
  it('is put in order from its end', () => {
    const { order } = graphOf(MILLION, (at) => (at + 1 < MILLION ? [at + 1] : []));
    expect(order.every((position, at) => position === MILLION - 1 - at)).toBe(true);
  });

  it('that closes is refused by the two ends of its path', () => {
    const closed = (): ResourceGraph => graphOf(MILLION, (at) => [(at + 1) % MILLION]);
    const path = /T\/0000000 -> T\/0000001 -> .* -> \(999981 more\) -> .* -> T\/0999999 -> T\/0000000$/;
    expect(closed).toThrow(
      expect.objectContaining({
        code: 'CYCLE',
        message: expect.stringMatching(path),
        hint: expect.stringContaining('a resource of its own'),
      }),
    );
  });

  it('is discovered call by call', async () => {
    const resources = resourcesOf(MILLION);
    const dependencies = async ([one]: readonly Resource[]): Promise<Dependencies> => {
      const next = resources[Number(one?.id) + 1];
      return next === undefined
        ? { resources: [], edges: { from: [], to: [] }, failures: [] }
        : { resources: [next], edges: { from: [0], to: [0] }, failures: [] };
    };
    const plugin = { ...emptyPlugin('T'), find: async () => resources.slice(0, 1), dependencies };
    const graph = await discover(
      { roots: resources.slice(0, 1), protectables: new Map([['T', plugin]]) },
      { signal: new AbortController().signal },
    );
    expect(graph.resources).toHaveLength(MILLION);
    expect([graph.order[0], graph.order.at(-1)]).toEqual([MILLION - 1, 0]);
  });
});

describe('1,000 stacked diamonds', () => {
  it('are put in order, each corner once', () => {
    const { order } = graphOf(CORNERS * DIAMONDS + 1, diamondRow);
    const places = new Map(Array.from(order, (position, place) => [position, place]));
    expect(places.size).toBe(CORNERS * DIAMONDS + 1);
    for (const [position, place] of places) {
      for (const target of diamondRow(position)) expect(places.get(target)).toBeLessThan(place);
    }
  });
});

describe('one resource that 100,000 depend on, and one that depends on 100,000', () => {
  it('have rows as long as that', () => {
    const count = 100_000;
    const star = graphOf(count, (at) => (at === 0 ? [] : [0]));
    expect(star.dependants(0)).toHaveLength(count - 1);
    const hub = graphOf(count, (at) =>
      at === 0 ? Array.from({ length: count - 1 }, (_, to) => to + 1) : [],
    );
    expect(hub.dependencies(0)).toHaveLength(count - 1);
    expect(hub.order.at(-1)).toBe(0);
  });
});
