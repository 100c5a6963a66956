import type { Dependencies, Protectable, Resource, ResourceKey } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';

/** Resources of some system, and what each depends on by position. */
export interface Model {
  /** The resources. */
  readonly resources: readonly Resource[];
  /** Pairs of a dependant and what it depends on. */
  readonly edges: readonly (readonly [number, number])[];
}

/** The plugins of a model, and the sizes of the batches that they were asked for. */
export interface System {
  /** By type. */
  readonly protectables: ReadonlyMap<string, Protectable>;
  /** Of `dependencies`, in the order of the calls. */
  readonly batches: readonly number[];
}

/** A resource whose attributes follow from its identity. */
export const resourceOf = (type: string, id: string): Resource => ({
  type,
  id,
  name: `name of ${id}`,
  attributes: { type, id },
});

/** Identities as one string, for sets. */
export const keyOf = ({ type, id }: ResourceKey): string => `${type}/${id}`;

/** Plugins that answer truthfully about the model; `arrange` decides in which order. */
export function systemOf(
  model: Model,
  arrange: <Item>(items: readonly Item[]) => readonly Item[] = (items) => items,
): System {
  const batches: number[] = [];
  const targets = new Map<string, Resource[]>();
  for (const [from, to] of model.edges) {
    const [source, target] = [model.resources[from], model.resources[to]];
    if (source === undefined || target === undefined) throw new Error('the model has an edge to nowhere');
    const known = targets.get(keyOf(source));
    if (known === undefined) targets.set(keyOf(source), [target]);
    else known.push(target);
  }
  const plugin = (type: string): Protectable => {
    const ofType = new Map(
      model.resources.filter((one) => one.type === type).map((resource) => [resource.id, resource]),
    );
    return {
      ...emptyPlugin(type),
      find: async (ids) => arrange(ids).flatMap((id) => ofType.get(id) ?? []),
      dependencies: async (batch) => {
        batches.push(batch.length);
        const pairs = arrange(
          batch.flatMap((one, at) => (targets.get(keyOf(one)) ?? []).map((target) => [at, target] as const)),
        );
        return answerOf(arrange([...new Set(pairs.map(([, target]) => target))]), pairs);
      },
    };
  };
  const types = [...new Set(model.resources.map(({ type }) => type))];
  return { protectables: new Map(types.map((type) => [type, plugin(type)])), batches };
}

function answerOf(
  resources: readonly Resource[],
  pairs: readonly (readonly [number, Resource])[],
): Dependencies {
  const positions = new Map(resources.map((resource, position) => [resource, position]));
  const to = pairs.map(([, target]) => positions.get(target) ?? -1);
  return { resources, edges: { from: pairs.map(([from]) => from), to }, failures: [] };
}

/** A plugin that finds whatever it is asked for, depending on nothing; for tests that replace one answer. */
export function emptyPlugin(type: string): Protectable {
  const refuse = async (): Promise<never> => {
    throw new FafnirError('UNSUPPORTED', 'discovery asks for nothing but find and dependencies');
  };
  return {
    contract: 1,
    type,
    async *list() {
      yield await refuse();
    },
    find: async (ids) => ids.map((id) => resourceOf(type, id)),
    dependencies: async () => ({ resources: [], edges: { from: [], to: [] }, failures: [] }),
    capture: refuse,
    create: refuse,
    connect: refuse,
    remove: refuse,
  };
}
