import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dependencies, Protectable, Resource } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { acyclicModel, shuffler } from './models.ts';
import { emptyPlugin, keyOf, type Model, resourceOf, systemOf } from './system.ts';

const call = { signal: new AbortController().signal };
const none: Dependencies = { resources: [], edges: { from: [], to: [] }, failures: [] };

/** What the roots reach, by searching the model itself. */
function closureOf({ edges }: Model, roots: readonly number[]): Set<number> {
  const reached = new Set(roots);
  for (const at of reached) for (const [from, to] of edges) if (from === at) reached.add(to);
  return reached;
}

const edgesOf = ({ resources, edges }: ResourceGraph): string[] =>
  Array.from(edges.from, (from, at) => [resources[from], resources[edges.to[at] ?? -1]]).map((edge) =>
    edge.map((resource) => (resource === undefined ? '?' : keyOf(resource))).join(' -> '),
  );

const columnsOf = ({ resources, edges, order }: ResourceGraph): object => ({ resources, edges, order });

/** Discovery of one server by one plugin, with the methods given. */
function discoverWith(
  change: Partial<Protectable>,
  signal: AbortSignal = call.signal,
): Promise<ResourceGraph> {
  const server = { ...emptyPlugin('Test::Server'), ...change };
  const volume = emptyPlugin('Test::Volume');
  return discover(
    {
      roots: [{ type: 'Test::Server', id: 'web' }],
      protectables: new Map([server, volume].map((plugin) => [plugin.type, plugin])),
    },
    { signal },
  );
}

describe('discovery', () => {
  it('finds what the roots reach and nothing else, each resource and edge once', async () => {
    await fc.assert(
      fc.asyncProperty(
        acyclicModel,
        fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
        async (model, picks) => {
          const roots = picks.map((pick) => pick % model.resources.length);
          const { protectables } = systemOf(model);
          const keys = roots.flatMap((at) => model.resources[at] ?? []);
          const graph = await discover({ roots: keys, protectables }, call);
          const reached = closureOf(model, roots);
          const expected = model.resources.filter((_, at) => reached.has(at));
          const sorted = [...expected].sort((a, b) =>
            a.type === b.type ? (a.id < b.id ? -1 : 1) : a.type < b.type ? -1 : 1,
          );
          expect(graph.resources).toEqual(sorted);
          const edges = model.edges
            .filter(([from]) => reached.has(from))
            .map((edge) =>
              edge
                .flatMap((at) => model.resources[at] ?? [])
                .map(keyOf)
                .join(' -> '),
            );
          const found = edgesOf(graph);
          expect(new Set(found)).toEqual(new Set(edges));
          expect(found).toHaveLength(new Set(edges).size);
        },
      ),
    );
  });

  it('gives the same graph in whatever order roots and answers come', async () => {
    await fc.assert(
      fc.asyncProperty(acyclicModel, fc.nat(), async (model, seed) => {
        const shuffle = shuffler(seed);
        const plain = await discover(
          { roots: model.resources, protectables: systemOf(model).protectables },
          call,
        );
        const { protectables } = systemOf(model, shuffle);
        const permuted = await discover({ roots: shuffle(model.resources), protectables }, call);
        expect(columnsOf(permuted)).toEqual(columnsOf(plain));
      }),
    );
  });

  it('visits what several depend on once', async () => {
    const resources = ['top', 'left', 'right', 'bottom'].map((id) => resourceOf('Test::Part', id));
    const edges = [
      [0, 1],
      [0, 2],
      [1, 3],
      [2, 3],
    ] as const;
    const { protectables, batches } = systemOf({ resources, edges });
    const graph = await discover({ roots: resources.slice(0, 1), protectables }, call);
    expect(graph.resources).toHaveLength(4);
    expect(batches).toEqual([1, 2, 1]);
  });

  it('follows a chain of 20,000', async () => {
    const length = 20_000;
    const resources = Array.from({ length }, (_, at) => resourceOf('Test::Link', `link-${at}`));
    const edges = Array.from({ length: length - 1 }, (_, at) => [at, at + 1] as const);
    const { protectables } = systemOf({ resources, edges });
    const graph = await discover({ roots: resources.slice(0, 1), protectables }, call);
    expect(graph.resources).toHaveLength(length);
    expect(graph.resources[graph.order[0] ?? -1]?.id).toBe('link-19999');
    expect(graph.resources[graph.order.at(-1) ?? -1]?.id).toBe('link-0');
  });

  it('asks for 10,000 resources in batches of at most 1,000', async () => {
    const leaves = Array.from({ length: 9_999 }, (_, at) => resourceOf('Test::Leaf', `leaf-${at}`));
    const resources = [resourceOf('Test::Root', 'root'), ...leaves];
    const edges = leaves.map((_, at) => [0, at + 1] as const);
    const { protectables, batches } = systemOf({ resources, edges });
    const graph = await discover({ roots: resources.slice(0, 1), protectables }, call);
    expect(graph.resources).toHaveLength(10_000);
    expect(Math.max(...batches)).toBe(1_000);
    expect(batches).toHaveLength(11);
    expect(batches.reduce((sum, size) => sum + size, 0)).toBe(10_000);
  });

  it('asks for 2,500 roots in batches of at most 1,000, repeated ones once', async () => {
    const resources = Array.from({ length: 2_500 }, (_, at) => resourceOf('Test::Leaf', `leaf-${at}`));
    const { protectables, batches } = systemOf({ resources, edges: [] });
    const graph = await discover({ roots: [...resources, ...resources], protectables }, call);
    expect(graph.resources).toHaveLength(2_500);
    expect(Math.max(...batches)).toBe(1_000);
    expect(batches.reduce((sum, size) => sum + size, 0)).toBe(2_500);
  });

  it('keeps apart what has one id under two types', async () => {
    const resources = [resourceOf('Test::Server', 'x'), resourceOf('Test::Volume', 'x')];
    const { protectables } = systemOf({ resources, edges: [[0, 1]] });
    const graph = await discover({ roots: resources.slice(0, 1), protectables }, call);
    expect(edgesOf(graph)).toEqual(['Test::Server/x -> Test::Volume/x']);
  });

  it('refuses a cycle by its path', async () => {
    const resources = ['a', 'b'].map((id) => resourceOf('Test::Application', id));
    const { protectables } = systemOf({
      resources,
      edges: [
        [0, 1],
        [1, 0],
      ],
    });
    const path = /Test::Application\/a -> Test::Application\/b -> Test::Application\/a/;
    const found = discover({ roots: resources.slice(0, 1), protectables }, call);
    await expect(found).rejects.toMatchObject({ code: 'CYCLE', message: expect.stringMatching(path) });
  });
});

describe('discovery that cannot be complete', () => {
  it('names a root that does not exist', async () => {
    const failure = { code: 'NOT_FOUND', message: 'no such resource: Test::Server/web' };
    await expect(discoverWith({ find: async () => [] })).rejects.toMatchObject(failure);
  });

  it('names a root whose type nobody protects', async () => {
    const found = discover({ roots: [{ type: 'Test::Moon', id: 'x' }], protectables: new Map() }, call);
    await expect(found).rejects.toMatchObject({
      code: 'UNKNOWN_TYPE',
      message: expect.stringMatching(/Test::Moon\/x/),
    });
  });

  it('names a dependency whose type nobody protects', async () => {
    const moon = { ...none, resources: [resourceOf('Test::Moon', 'x')], edges: { from: [0], to: [0] } };
    const found = discoverWith({ dependencies: async () => moon });
    await expect(found).rejects.toMatchObject({
      code: 'UNKNOWN_TYPE',
      message: expect.stringMatching(/Test::Moon\/x/),
    });
  });

  it.each([true, false])(
    'fails with the cause where a listing rejects (retryable: %s)',
    async (retryable) => {
      const cause = new FafnirError('UNAVAILABLE', 'no answer', { retryable });
      const found = discoverWith({ dependencies: () => Promise.reject(cause) });
      await expect(found).rejects.toMatchObject({ code: 'DISCOVERY_FAILED', cause, retryable });
    },
  );

  it.each([true, false])('fails with the cause of one item (retryable: %s)', async (retryable) => {
    const error = new FafnirError('UNAVAILABLE', 'no answer', { retryable });
    const answer = { ...none, resources: [resourceOf('Test::Volume', 'v')], failures: [{ at: 0, error }] };
    await expect(discoverWith({ dependencies: async () => answer })).rejects.toMatchObject({
      code: 'DISCOVERY_FAILED',
      message: expect.stringContaining('Test::Server/web'),
      cause: error,
      retryable,
    });
  });

  it('fails with the cause where a listing throws before it returns a promise', async () => {
    const cause = new Error('thrown at once');
    const dependencies = (): never => {
      throw cause;
    };
    await expect(discoverWith({ dependencies })).rejects.toMatchObject({ code: 'DISCOVERY_FAILED', cause });
  });

  it('fails with the cause where the roots cannot be looked up', async () => {
    const cause = new Error('no answer');
    const found = discoverWith({ find: () => Promise.reject(cause) });
    await expect(found).rejects.toMatchObject({ code: 'DISCOVERY_FAILED', cause });
  });

  it('ends with the reason of an abort, before it begins and while it asks', async () => {
    const reason = new Error('no longer wanted');
    await expect(discoverWith({}, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const dependencies = async (_: unknown, { signal }: { signal: AbortSignal }): Promise<Dependencies> => {
      controller.abort(reason);
      await setImmediate();
      signal.throwIfAborted();
      return none;
    };
    await expect(discoverWith({ dependencies }, controller.signal)).rejects.toBe(reason);
  });
});

describe('a plugin that breaks its contract', () => {
  const target = resourceOf('Test::Volume', 'v');
  const edge = (from: number, to: number): object => ({
    resources: [target],
    edges: { from: [from], to: [to] },
  });
  const resource = (change: object): object => ({ resources: [{ ...target, ...change }] });

  it.each<[string, object]>([
    ['edge columns of different lengths', { resources: [target], edges: { from: [0, 0], to: [0] } }],
    ['an edge from outside the batch', edge(1, 0)],
    ['an edge from before the batch', edge(-1, 0)],
    ['an edge to outside the answer', edge(0, 1)],
    ['an edge to a fraction', edge(0, 0.5)],
    ['an edge from what is not a number', edge(Number.NaN, 0)],
    ['a resource without an id', resource({ id: '' })],
    ['a resource whose id is a number', resource({ id: 7 })],
    ['a resource without a name', resource({ name: undefined })],
    ['a resource without attributes', resource({ attributes: undefined })],
    ['a resource whose id is too long to be stored', resource({ id: 'v'.repeat(1_025) })],
    ['null for a resource', { resources: [null] }],
    ['no edges', { edges: undefined }],
    ['no failures', { failures: undefined }],
    ['null for a failure', { failures: [null] }],
    ['a failure of nothing in the batch', { failures: [{ at: 1, error: new Error('x') }] }],
    ['no resources', { resources: undefined }],
  ])('is refused for %s', async (_, change) => {
    const answer = { ...none, ...change } as Dependencies;
    const found = discoverWith({ dependencies: async () => answer });
    await expect(found).rejects.toMatchObject({
      code: 'WRONG_ANSWER',
      message: expect.stringMatching(/Test::/),
    });
  });

  it.each<[string, unknown]>([
    ['another type', [resourceOf('Test::Volume', 'web')]],
    ['something without an id', [{ ...resourceOf('Test::Server', ''), id: undefined }]],
    ['null', [null]],
    ['no list', undefined],
  ])('is refused where find returns %s', async (_, answer) => {
    const found = discoverWith({ find: async () => answer as readonly Resource[] });
    await expect(found).rejects.toMatchObject({
      code: 'WRONG_ANSWER',
      message: expect.stringMatching(/Test::/),
    });
  });
});
