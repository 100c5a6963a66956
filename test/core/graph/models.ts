import * as fc from 'fast-check';
import { type Model, resourceOf } from './system.ts';

const TYPES = ['Test::Server', 'Test::Volume', 'Test::Network'];

// Names that sort differently as text than the positions they stand for.
const resources = (count: number): Model['resources'] =>
  Array.from({ length: count }, (_, at) => resourceOf(TYPES[at % TYPES.length] ?? '', `r${(at * 37) % 101}`));

/** Any graph, cycles and self-references included. */
export const anyModel: fc.Arbitrary<Model> = fc.integer({ min: 1, max: 25 }).chain((count) => {
  const position = fc.nat({ max: count - 1 });
  return fc
    .array(fc.tuple(position, position), { maxLength: 40 })
    .map((edges) => ({ resources: resources(count), edges }));
});

/** Graphs without cycles. */
export const acyclicModel: fc.Arbitrary<Model> = anyModel.map((model) => ({
  resources: model.resources,
  edges: model.edges.flatMap(([a, b]) => (a === b ? [] : [[Math.min(a, b), Math.max(a, b)] as const])),
}));

/** A way to put lists in another order: the same one for the same seed. */
export function shuffler(seed: number): <Item>(items: readonly Item[]) => readonly Item[] {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  return (items) =>
    items
      .map((item) => ({ item, rank: next() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ item }) => item);
}
