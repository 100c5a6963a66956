import { describe, expect, it } from 'vitest';
import type { Protectable, Resource } from '../../../src/core/contracts/index.ts';
import { FafnirError } from '../../../src/core/errors.ts';
import { type DiscoverRequest, discover } from '../../../src/core/graph/discover.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { emptyPlugin, keyOf, resourceOf, systemOf } from './system.ts';

const call = { signal: new AbortController().signal };

const server = (id: string, tags?: Record<string, string>): Resource => ({
  ...resourceOf('Test::Server', id),
  ...(tags && { tags }),
});
const volume = (id: string): Resource => resourceOf('Test::Volume', id);

const RESOURCES = [
  resourceOf('Test::App', 'shop'),
  server('web', { tier: 'gold' }),
  server('db', { tier: 'silver' }),
  volume('web-data'),
  volume('db-data'),
  volume('shared'),
];
const EDGES = [
  ['shop', 'web'],
  ['shop', 'db'],
  ['web', 'web-data'],
  ['web', 'shared'],
  ['db', 'db-data'],
  ['db', 'shared'],
];
const at = (id: string): number => RESOURCES.findIndex((resource) => resource.id === id);
const key = (id: string): Resource => RESOURCES[at(id)] ?? volume(id);

/** Plugins of the shop, which can list; `change` replaces methods of one type. */
function shop(
  type?: string,
  change?: (sound: Protectable) => Partial<Protectable>,
): ReadonlyMap<string, Protectable> {
  const edges = EDGES.map(([from = '', to = '']) => [at(from), at(to)] as const);
  const { protectables } = systemOf({ resources: RESOURCES, edges });
  return new Map(
    [...protectables].map(([name, sound]) => {
      const listing: Protectable = {
        ...sound,
        async *list() {
          yield* RESOURCES.filter((resource) => resource.type === name);
        },
      };
      return [name, name === type ? { ...listing, ...change?.(listing) } : listing];
    }),
  );
}

const find = (request: Partial<DiscoverRequest>): Promise<ResourceGraph> =>
  discover({ roots: [key('shop')], protectables: shop(), ...request }, call);
const idsOf = ({ resources }: ResourceGraph): string[] => resources.map(({ id }) => id);
const edgesOf = ({ resources, edges }: ResourceGraph): string[] =>
  Array.from(edges.from, (from, edge) => `${resources[from]?.id} -> ${resources[edges.to[edge] ?? -1]?.id}`);

describe('roots by rule', () => {
  it('are all that match, with what they depend on', async () => {
    const graph = await find({ roots: [{ tags: { tier: 'gold' } }] });
    expect(idsOf(graph)).toEqual(['web', 'shared', 'web-data']);
  });

  it('join roots by key, each once', async () => {
    const graph = await find({
      roots: [{ type: 'Test::Volume', name: '*of web*' }, key('web'), key('web-data')],
    });
    expect(idsOf(graph)).toEqual(['web', 'shared', 'web-data']);
  });

  it('list only the type that the rule names, once for several rules', async () => {
    const listed: string[] = [];
    const protectables = new Map(
      [...shop()].map(([type, plugin]) => [
        type,
        {
          ...plugin,
          list: (options: { signal: AbortSignal }) => {
            listed.push(type);
            return plugin.list(options);
          },
        },
      ]),
    );
    await find({
      protectables,
      roots: [
        { type: 'Test::Server', tags: { tier: 'gold' } },
        { type: 'Test::Server', name: '*db' },
      ],
    });
    expect(listed).toEqual(['Test::Server']);
    await find({ protectables, roots: [{ name: '*' }] });
    expect(listed.slice(1).sort()).toEqual(['Test::App', 'Test::Server', 'Test::Volume']);
  });

  it.each<[string, DiscoverRequest['roots'], string, RegExp]>([
    ['that match nothing', [{ tags: { tier: 'gold' } }, { tags: { tier: 'tin' } }], 'NOT_FOUND', /"tin"/],
    ['of a type that nobody protects', [{ type: 'Test::Moon' }], 'UNKNOWN_TYPE', /Test::Moon/],
    ['without a condition', [{}], 'INVALID_OPTIONS', /condition/],
  ])('%s are refused', async (_, roots, code, message) => {
    await expect(find({ roots })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it.each(['refuse', 'allow'] as const)(
    'that cannot be listed fail the discovery (%s)',
    async (incomplete) => {
      const cause = new FafnirError('UNAVAILABLE', 'no answer');
      const protectables = shop('Test::Server', () => ({
        async *list() {
          yield server('web', { tier: 'gold' });
          throw cause;
        },
      }));
      const found = find({ protectables, incomplete, roots: [{ type: 'Test::Server' }] });
      await expect(found).rejects.toMatchObject({ code: 'DISCOVERY_FAILED', cause, retryable: true });
    },
  );

  it.each([[volume('web')], [{ ...server('web'), tags: { tier: 7 } }], [null]])(
    'listed as something else break the contract: number %#',
    async (listed) => {
      const protectables = shop('Test::Server', () => ({
        async *list() {
          yield listed as Resource;
        },
      }));
      const found = find({ protectables, roots: [{ type: 'Test::Server' }] });
      await expect(found).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    },
  );
});

describe('exclusion', () => {
  it.each<[string, DiscoverRequest['exclude']]>([
    ['by key', [key('db')]],
    ['by tag', [{ tags: { tier: 'silver' } }]],
    ['by rule', [{ type: 'Test::Server', name: '* db' }]],
  ])('%s leaves out what was chosen and what only that depends on', async (_, exclude = []) => {
    const graph = await find({ exclude });
    expect(idsOf(graph)).toEqual(['shop', 'web', 'shared', 'web-data']);
    expect(edgesOf(graph)).toEqual(['shop -> web', 'web -> shared', 'web -> web-data']);
    expect(graph.excluded).toEqual([{ type: 'Test::Server', id: 'db' }]);
    expect(graph.incomplete).toEqual([]);
  });

  it('names what it met, once and in order, and not what only that depends on', async () => {
    const graph = await find({
      exclude: [key('shared'), key('db-data'), key('web-data'), volume('never-met')],
    });
    expect(graph.excluded.map(keyOf)).toEqual([
      'Test::Volume/db-data',
      'Test::Volume/shared',
      'Test::Volume/web-data',
    ]);
  });

  it('may be of a type that nobody protects', async () => {
    const moon = resourceOf('Test::Moon', 'x');
    const protectables = shop('Test::Volume', () => ({
      dependencies: async () => ({ resources: [moon], edges: { from: [0], to: [0] }, failures: [] }),
    }));
    await expect(find({ protectables })).rejects.toMatchObject({ code: 'UNKNOWN_TYPE' });
    const graph = await find({ protectables, exclude: [{ type: 'Test::Moon' }] });
    expect(graph.excluded).toEqual([{ type: 'Test::Moon', id: 'x' }]);
  });

  it('holds for whoever a later answer shows otherwise', async () => {
    const plain = server('db');
    const protectables = shop('Test::Volume', () => ({
      dependencies: async () => ({ resources: [plain], edges: { from: [0], to: [0] }, failures: [] }),
    }));
    const graph = await find({ protectables, exclude: [{ tags: { tier: 'silver' } }] });
    expect(idsOf(graph)).toEqual(['shop', 'web', 'shared', 'web-data']);
  });

  it('takes roots away too, but not all that was chosen', async () => {
    const graph = await find({ roots: [{ type: 'Test::Server' }], exclude: [key('db')] });
    expect(idsOf(graph)).toEqual(['web', 'shared', 'web-data']);
    const found = find({ roots: [key('web')], exclude: [{ tags: { tier: null } }] });
    await expect(found).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});

describe('declared dependencies', () => {
  it('join what was found, and bring in what was not with all it depends on', async () => {
    const dependencies = [
      { from: key('web-data'), to: key('shared') },
      { from: key('web'), to: key('db') },
    ];
    const graph = await find({ roots: [key('web')], dependencies });
    expect(idsOf(graph)).toEqual(['db', 'web', 'db-data', 'shared', 'web-data']);
    expect(edgesOf(graph)).toContain('web -> db');
    expect(edgesOf(graph)).toContain('web-data -> shared');
    expect(graph.edges.from).toHaveLength(6);
  });

  it('join what is in the graph before the dependant is', async () => {
    const roots = [{ type: 'Test::Server', tags: { tier: 'silver' } }, key('web')];
    const graph = await find({ roots, dependencies: [{ from: key('web'), to: key('db') }] });
    expect(edgesOf(graph)).toContain('web -> db');
  });

  it('follow each other', async () => {
    const dependencies = [
      { from: key('web-data'), to: key('db-data') },
      { from: key('db-data'), to: key('db') },
    ];
    const found = find({ roots: [key('web')], dependencies });
    await expect(found).rejects.toMatchObject({ code: 'CYCLE', message: expect.stringContaining('db-data') });
  });

  it('mean nothing where the dependant is not part of it, or the target is excluded', async () => {
    const plain = await find({ roots: [key('web')] });
    const elsewhere = [{ from: key('db'), to: volume('does-not-exist') }];
    expect(await find({ roots: [key('web')], dependencies: elsewhere })).toEqual(plain);
    const dependencies = [{ from: key('web'), to: key('db') }];
    const graph = await find({ roots: [key('web')], dependencies, exclude: [key('db')] });
    expect(edgesOf(graph)).toEqual(edgesOf(plain));
    expect(graph.excluded.map(keyOf)).toEqual(['Test::Server/db']);
  });

  it.each<[string, Resource, string]>([
    ['that does not exist', volume('nowhere'), 'NOT_FOUND'],
    ['of a type that nobody protects', resourceOf('Test::Moon', 'x'), 'UNKNOWN_TYPE'],
  ])('on something %s are refused', async (_, to, code) => {
    const found = find({ dependencies: [{ from: key('web'), to }] });
    await expect(found).rejects.toMatchObject({ code, message: expect.stringContaining(keyOf(to)) });
  });

  it('are looked up once, however many depend on it', async () => {
    const asked: string[] = [];
    const protectables = shop('Test::Volume', (sound) => ({
      find: (ids, options) => {
        asked.push(...ids);
        return sound.find(ids, options);
      },
    }));
    const to = key('db-data');
    const dependencies = ['shop', 'web'].map((id) => ({ from: key(id), to }));
    const graph = await find({ roots: [key('web')], protectables, dependencies });
    expect(edgesOf(graph)).toContain('web -> db-data');
    expect(asked).toEqual(['db-data']);
  });
});

describe('what could not be read', () => {
  const error = new FafnirError('UNAVAILABLE', 'no answer');
  const oneFails = shop('Test::Server', (sound) => ({
    dependencies: async (batch, options) => {
      const answer = await sound.dependencies(batch, options);
      return { ...answer, failures: [{ at: batch.findIndex(({ id }) => id === 'db'), error }] };
    },
  }));

  it('fails the discovery unless that is allowed', async () => {
    await expect(find({ protectables: oneFails })).rejects.toMatchObject({ code: 'DISCOVERY_FAILED' });
  });

  it('is named where it is allowed, and what was read stays', async () => {
    const graph = await find({ protectables: oneFails, incomplete: 'allow' });
    expect(idsOf(graph)).toEqual(['shop', 'db', 'web', 'db-data', 'shared', 'web-data']);
    const { code, message, retryable, hint } = error;
    expect(graph.incomplete).toEqual([
      { resource: { type: 'Test::Server', id: 'db' }, error: { code, message, retryable, hint } },
    ]);
  });

  it('is the whole batch where the listing rejects, in order', async () => {
    const long = new Error('x'.repeat(5_000));
    const protectables = shop('Test::Server', () => ({ dependencies: () => Promise.reject(long) }));
    const graph = await find({ protectables, incomplete: 'allow' });
    expect(idsOf(graph)).toEqual(['shop', 'db', 'web']);
    expect(graph.incomplete.map(({ resource }) => resource.id)).toEqual(['db', 'web']);
    expect(graph.incomplete[0]?.error).toMatchObject({ code: 'DISCOVERY_FAILED' });
    expect(graph.incomplete[0]?.error.message).toHaveLength(1_024);
  });

  it('never hides an answer that breaks the contract, or an abort', async () => {
    const wrong = shop('Test::Server', () => ({
      dependencies: async () => ({
        resources: [],
        edges: { from: [], to: [] },
        failures: [{ at: 9, error }],
      }),
    }));
    await expect(find({ protectables: wrong, incomplete: 'allow' })).rejects.toMatchObject({
      code: 'WRONG_ANSWER',
    });
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const aborting = shop('Test::Server', () => ({
      dependencies: async () => {
        controller.abort(reason);
        throw reason;
      },
    }));
    const request = { roots: [key('shop')], protectables: aborting, incomplete: 'allow' } as const;
    await expect(discover(request, { signal: controller.signal })).rejects.toBe(reason);
  });
});

describe('calls to plugins', () => {
  it('look up at most 1,000 at once', async () => {
    const sizes: number[] = [];
    const plugin: Protectable = {
      ...emptyPlugin('T'),
      find: async (ids) => {
        sizes.push(ids.length);
        return ids.map((id) => resourceOf('T', id));
      },
    };
    const roots = Array.from({ length: 2_500 }, (_, number) => ({ type: 'T', id: `${number}` }));
    const graph = await discover({ roots, protectables: new Map([['T', plugin]]) }, call);
    expect(graph.resources).toHaveLength(2_500);
    expect(sizes.sort()).toEqual([1_000, 1_000, 500]);
  });

  /** Plugins of many types; each resource of the first depends on one of every other. Counts calls under way. */
  function busy(types: number): {
    protectables: Map<string, Protectable>;
    most: () => number;
    left: () => number;
  } {
    let [underWay, most] = [0, 0];
    const counted = async <Answer>(answer: Answer): Promise<Answer> => {
      underWay += 1;
      most = Math.max(most, underWay);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      underWay -= 1;
      return answer;
    };
    const plugins = Array.from({ length: types }, (_, number): Protectable => {
      const targets =
        number === 0 ? Array.from({ length: types - 1 }, (_one, to) => resourceOf(`T${to + 1}`, 'x')) : [];
      const edges = { from: targets.map(() => 0), to: targets.map((_one, to) => to) };
      return {
        ...emptyPlugin(`T${number}`),
        dependencies: () => counted({ resources: targets, edges, failures: [] }),
      };
    });
    const protectables = new Map(plugins.map((plugin) => [plugin.type, plugin]));
    return { protectables, most: () => most, left: () => underWay };
  }

  it('run beside each other, at most eight', async () => {
    const { protectables, most } = busy(30);
    const graph = await discover({ roots: [{ type: 'T0', id: 'x' }], protectables }, call);
    expect(graph.resources).toHaveLength(30);
    expect(most()).toBe(8);
  });

  it('have all ended when the discovery fails', async () => {
    const { protectables, left } = busy(8);
    const cause = new Error('broken');
    protectables.set('T3', { ...emptyPlugin('T3'), dependencies: () => Promise.reject(cause) });
    const found = discover({ roots: [{ type: 'T0', id: 'x' }], protectables }, call);
    await expect(found).rejects.toMatchObject({ code: 'DISCOVERY_FAILED', cause });
    expect(left()).toBe(0);
  });

  it('of one type do not wait for those of another', async () => {
    const order: string[] = [];
    const slow = Promise.withResolvers<void>();
    const answer = (resources: readonly Resource[]) => ({
      resources,
      edges: { from: resources.map(() => 0), to: resources.map((_, to) => to) },
      failures: [],
    });
    const plugin = (type: string, dependencies: Protectable['dependencies']): [string, Protectable] => [
      type,
      { ...emptyPlugin(type), dependencies },
    ];
    const protectables = new Map([
      plugin('Top', async () => answer([resourceOf('Slow', 'x'), resourceOf('Quick', 'x')])),
      plugin('Slow', async () => {
        await slow.promise;
        order.push('slow');
        return answer([]);
      }),
      plugin('Quick', async () => answer([resourceOf('Last', 'x')])),
      plugin('Last', async () => {
        order.push('last');
        slow.resolve();
        return answer([]);
      }),
    ]);
    await discover({ roots: [{ type: 'Top', id: 'x' }], protectables }, call);
    expect(order).toEqual(['last', 'slow']);
  });

  it('are refused by what tags may be', async () => {
    const found = (tags: unknown): Promise<ResourceGraph> => {
      const plugin = {
        ...emptyPlugin('T'),
        find: async () => [{ ...resourceOf('T', 'x'), tags } as Resource],
      };
      return discover({ roots: [{ type: 'T', id: 'x' }], protectables: new Map([['T', plugin]]) }, call);
    };
    const many = Object.fromEntries(Array.from({ length: 257 }, (_, number) => [`tag-${number}`, '']));
    for (const tags of [
      null,
      'x',
      ['x'],
      { a: 1 },
      { '': 'x' },
      { ['x'.repeat(257)]: '' },
      { a: 'x'.repeat(1_025) },
      many,
    ]) {
      await expect(found(tags)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
    }
    const sound = { ['x'.repeat(256)]: 'y'.repeat(1_024), b: '' };
    expect((await found(sound)).resources[0]?.tags).toEqual(sound);
  });
});
