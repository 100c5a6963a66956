import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { holdingSets } from '../../../src/core/graph/holding-sets.ts';
import { graphOf } from './walk-scenario.ts';

type Edge = readonly [dependant: number, dependency: number];

/** A graph with groups of positions, some of which are holders. */
interface Held {
  readonly count: number;
  readonly edges: readonly Edge[];
  readonly groups: readonly (readonly number[])[];
  readonly holders: ReadonlySet<number>;
}

const MOST = 12;

const held: fc.Arbitrary<Held> = fc
  .record({
    // Positions are by identity, so edges must go up and down.
    places: fc
      .integer({ min: 1, max: MOST })
      .chain((count) => fc.shuffledSubarray([...Array(count).keys()], { minLength: count })),
    pairs: fc.array(fc.tuple(fc.nat({ max: MOST - 1 }), fc.nat({ max: MOST - 1 })), { maxLength: 2 * MOST }),
    // Small numbers for large groups, large ones for none.
    groupOf: fc.array(fc.nat({ max: 7 }), { minLength: MOST, maxLength: MOST }),
    holding: fc.array(fc.nat({ max: 3 }), { minLength: MOST, maxLength: MOST }),
    groupCount: fc.integer({ min: 1, max: 6 }),
  })
  .map(({ places, pairs, groupOf, holding, groupCount }) => {
    const count = places.length;
    const edges = new Map<string, Edge>();
    for (const [a, b] of pairs) {
      if (a === b || a >= count || b >= count) continue;
      const edge = [places[Math.min(a, b)] ?? 0, places[Math.max(a, b)] ?? 0] as const;
      edges.set(edge.join(), edge);
    }
    const groups: number[][] = Array.from({ length: groupCount }, () => []);
    const holders = new Set<number>();
    for (const position of places) {
      const group = groups[groupOf[position] ?? groupCount];
      group?.push(position);
      if (group !== undefined && holding[position] === 0) holders.add(position);
    }
    return { count, edges: [...edges.values()].sort(([a, b], [c, d]) => a - c || b - d), groups, holders };
  });

const setsOf = ({ count, edges, groups, holders }: Held): number[] => [
  ...holdingSets(graphOf({ count, edges }), groups, (position) => holders.has(position)),
];

/** From each holder all that it reaches; what meets is one, until nothing changes. */
function bruteForce({ edges, groups, holders }: Held): number[] {
  const sets = groups.map((_, group) => group);
  const groupAt = (position: number): number => groups.findIndex((members) => members.includes(position));
  const merge = (one: number, other: number): void => {
    const [a, b] = [sets[one] ?? one, sets[other] ?? other];
    for (const [group, set] of sets.entries()) if (set === a || set === b) sets[group] = Math.min(a, b);
  };
  for (const holder of holders) {
    const reached = new Set([holder]);
    for (const at of reached) for (const [from, to] of edges) if (from === at) reached.add(to);
    for (const position of reached) {
      if (groupAt(position) !== -1) merge(groupAt(holder), groupAt(position));
    }
  }
  return sets;
}

/** A chain of so many, each a group of its own, numbered from the top or from the bottom. */
function chain(length: number, numbered: 'down' | 'up', holders: (position: number) => boolean): Held {
  const positions = [...Array(length).keys()];
  return {
    count: length,
    edges: positions.slice(1).map((position) => [position - 1, position] as const),
    groups: (numbered === 'down' ? positions : positions.toReversed()).map((position) => [position]),
    holders: new Set(positions.filter(holders)),
  };
}

const LONG = 200_000;

describe('sets of groups that are held at the same time', () => {
  it('are those that somebody who is held reaches, as brute force finds them', () => {
    const seen = { joined: 0, apart: 0 };
    const property = fc.property(held, (one) => {
      const sets = setsOf(one);
      expect(sets).toEqual(bruteForce(one));
      if (new Set(sets).size < sets.length) seen.joined += 1;
      else seen.apart += 1;
    });
    fc.assert(property, { numRuns: 2_000 });
    expect(Math.min(seen.joined, seen.apart)).toBeGreaterThan(100);
  });

  it('are one for two who hold the same group, though neither holds the other', () => {
    const edges: Edge[] = [
      [0, 2],
      [1, 2],
    ];
    const groups = [[0], [1], [2]];
    expect(setsOf({ count: 3, edges, groups, holders: new Set([0, 1]) })).toEqual([0, 0, 0]);
    expect(setsOf({ count: 3, edges, groups, holders: new Set([0]) })).toEqual([0, 1, 0]);
    expect(setsOf({ count: 3, edges, groups, holders: new Set() })).toEqual([0, 1, 2]);
  });

  it('reach through what is in no group, and not upwards', () => {
    const edges: Edge[] = [
      [0, 1],
      [1, 2],
      [2, 3],
    ];
    expect(setsOf({ count: 4, edges, groups: [[3], [1], [0]], holders: new Set([1]) })).toEqual([0, 0, 2]);
  });

  it.each(['down', 'up'] as const)(
    'of a chain of 200,000 numbered %s are one below its holder',
    (numbered) => {
      const top = setsOf(chain(LONG, numbered, (position) => position === 0));
      expect(top.every((set) => set === 0)).toBe(true);
      const every = setsOf(chain(LONG, numbered, () => true));
      expect(every.every((set) => set === 0)).toBe(true);
      const bottom = setsOf(chain(LONG, numbered, (position) => position === LONG - 1));
      expect(bottom.every((set, group) => set === group)).toBe(true);
    },
  );

  it('of 300 stacked diamonds are one below their top', () => {
    const edges = [...Array(300).keys()].flatMap((at): Edge[] => {
      const top = 3 * at;
      return [
        [top, top + 1],
        [top, top + 2],
        [top + 1, top + 3],
        [top + 2, top + 3],
      ];
    });
    const groups = [...Array(901).keys()].map((position) => [position]);
    const whole = { count: 901, edges, groups };
    expect(new Set(setsOf({ ...whole, holders: new Set([0]) }))).toEqual(new Set([0]));
    // Half of them, from the middle down.
    const half = setsOf({ ...whole, holders: new Set([450]) });
    expect(half).toEqual(groups.map((_, group) => Math.min(group, 450)));
  });
});
