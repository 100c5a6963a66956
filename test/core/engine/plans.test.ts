import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { NewPlan, PlanId, ResourceGraph } from '../../../src/index.ts';
import { SHOP } from './application.ts';
import { refused } from './refusals.ts';
import { all, failure, openWorld, type World } from './world.ts';

const server = (id: string) => ({ type: 'Local::Server', id });
const volume = (id: string) => ({ type: 'Local::Volume', id });
const network = (id: string) => ({ type: 'Local::Network', id });

let made = 0;

/** A plan of the shop, under a name of its own. */
const shop = (changes: Partial<NewPlan> = {}): NewPlan => {
  made += 1;
  return { name: `plan ${made}`, provider: 'gold', resources: SHOP, ...changes };
};

/** The application of a new plan. */
async function graphOf({ acme }: World, changes: Partial<NewPlan>): Promise<ResourceGraph> {
  return acme.plans.graph((await acme.plans.create(shop(changes))).id);
}

const idsOf = ({ resources }: ResourceGraph): string[] => resources.map(({ id }) => id).sort();

/** Changes fields of a record of site `a`. */
async function change(world: World, path: string, fields: object): Promise<void> {
  const file = join(world.path, 'a', `${path}.json`);
  const record = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...record, ...fields }));
}

describe('a new plan', () => {
  it('says what applies where nothing was said', async () => {
    await using world = await openWorld();
    const plan = await world.acme.plans.create({ name: 'x', provider: 'gold', resources: SHOP });
    expect(plan).toEqual({
      id: plan.id,
      tenant: 'acme',
      name: 'x',
      provider: 'gold',
      resources: SHOP,
      exclude: [],
      dependencies: [],
      incomplete: 'refuse',
      onFailure: 'fail',
      policy: {},
      createdAt: plan.createdAt,
    });
    expect(await world.acme.plans.get(plan.id)).toEqual(plan);
  });

  it('keeps all that was said, in its own copy', async () => {
    await using world = await openWorld();
    const tags: Record<string, string | null> = { tier: null, team: 'a' };
    const asked = {
      resources: [server('web'), { type: 'Local::Server', tags, name: 'web-*', attributes: { cpus: 2 } }],
      exclude: [volume('cache'), { tags: { tier: 'scratch' } }],
      dependencies: [{ from: server('web'), to: server('db') }],
      incomplete: 'allow' as const,
      onFailure: 'continue' as const,
      policy: { archive: true, keep: 'all' as const },
    };
    const expected = structuredClone(asked);
    const plan = await world.acme.plans.create(shop(asked));
    tags.team = 'b';
    Object.assign(asked.dependencies[0]?.to ?? {}, { id: 'other' });
    asked.exclude.pop();
    expect(plan).toMatchObject(expected);
    expect(await world.acme.plans.get(plan.id)).toEqual(plan);
    expect(await all(world.acme.plans.list())).toEqual([world.plan, plan]);
  });

  it.each<[string, Partial<NewPlan>]>([
    ['a root', { resources: [...SHOP, { type: 'Other::Thing', id: 'x' }] }],
    ['a rule', { resources: [...SHOP, { type: 'Other::Thing', name: '*' }] }],
    ['who depends', { dependencies: [{ from: { type: 'Other::Thing', id: 'x' }, to: server('web') }] }],
    ['on what', { dependencies: [{ from: server('web'), to: { type: 'Other::Thing', id: 'x' } }] }],
  ])('is refused where no plugin protects the type of %s', async (_, changes) => {
    await using world = await openWorld();
    await refused(world, () => world.acme.plans.create(shop(changes)), 'UNKNOWN_TYPE', /Other::Thing/);
    expect(await all(world.acme.plans.list())).toEqual([world.plan]);
  });

  it('may exclude types that no plugin protects, and choose without saying a type', async () => {
    await using world = await openWorld();
    const resources = [{ name: 'shop' }];
    const exclude = [{ type: 'Other::Thing' }, { type: 'Other::Thing', id: 'x' }];
    expect(await graphOf(world, { resources, exclude })).toEqual(await graphOf(world, {}));
  });

  const proto = JSON.parse('{"__proto__": "x"}');
  it.each<[object, RegExp]>([
    [{ resources: [] }, /resources: a plan needs/],
    [{ resources: [{}] }, /resources\.0: a rule needs at least one condition/],
    [
      { resources: [...SHOP, { tag: 'x' }] },
      /resources\.1: unknown option tag; the valid options are type, tags/,
    ],
    [{ resources: [{ ...SHOP[0], name: 'x' }] }, /resources\.0: unknown option name; .* type, id$/],
    [{ resources: [{ type: 'Local::Server', tags: proto }] }, /resources\.0\.tags: .*__proto__/],
    [{ exclude: [{ attributes: { size: proto } }] }, /exclude\.0\.attributes: .*__proto__/],
    [{ exclude: [{ tags: { tier: 7 } }] }, /exclude\.0\.tags\.tier/],
    [{ exclude: {} }, /exclude/],
    [{ dependencies: [{ from: server('web') }] }, /dependencies\.0\.to/],
    [{ dependencies: [{ from: server('web'), to: { name: 'x' } }] }, /dependencies\.0\.to/],
    [
      { dependencies: [{ from: server('web'), to: server('db'), kind: 'x' }] },
      /dependencies\.0: unknown option kind/,
    ],
    [{ dependencies: [{ from: server('web'), to: server('web') }] }, /a resource cannot depend on itself/],
    [{ incomplete: 'ignore' }, /incomplete/],
    [{ onFailure: true }, /onFailure/],
  ])('is refused for what is none: %j', async (changes, message) => {
    await using world = await openWorld();
    await refused(world, () => world.acme.plans.create(shop(changes)), 'INVALID_OPTIONS', message);
    expect(await all(world.acme.plans.list())).toEqual([world.plan]);
  });
});

describe('a plan of very many keys', () => {
  const chosen = (count: number) =>
    Array.from({ length: count }, (_, at) => server(`server-${String(at).padStart(6, '0')}`));

  it('is refused when it is made, and not when it is to be run', async () => {
    await using world = await openWorld();
    const create = (count: number) => world.acme.plans.create(shop({ resources: chosen(count) }));
    await refused(world, () => create(4_000), 'LIMIT_EXCEEDED', /^a plan of \d+ bytes/);
    const { id } = await create(2_000);
    expect((await failure(async () => (await world.acme.protect(id)).result())).code).toBe('NOT_FOUND');
  });
});

describe('the graph of a plan', () => {
  it('has its resources and all they depend on', async () => {
    await using world = await openWorld();
    const graph = await world.acme.plans.graph(world.plan.id);
    expect(idsOf(graph)).toEqual(['back', 'db', 'db-data', 'db-root', 'front', 'shop', 'web', 'web-root']);
    expect([graph.excluded, graph.incomplete]).toEqual([[], []]);
  });

  it('is of what rules choose now, by the tags of the site too', async () => {
    await using world = await openWorld();
    await change(world, 'servers/web', { tags: { tier: 'gold' } });
    const plan = await world.acme.plans.create(shop({ resources: [{ tags: { tier: 'gold' } }] }));
    expect(idsOf(await world.acme.plans.graph(plan.id))).toEqual(['back', 'front', 'web', 'web-root']);
    await change(world, 'servers/db', { tags: { tier: 'gold', team: 'a' } });
    await change(world, 'servers/web', { tags: { tier: 'silver' } });
    expect(idsOf(await world.acme.plans.graph(plan.id))).toEqual(['back', 'db', 'db-data', 'db-root']);
  });

  it('leaves out what is excluded, with all that only that depends on, and says what', async () => {
    await using world = await openWorld();
    await change(world, 'servers/web', { tags: { tier: 'scratch' } });
    const graph = await graphOf(world, { exclude: [{ tags: { tier: 'scratch' } }, volume('db-data')] });
    expect(idsOf(graph)).toEqual(['back', 'db', 'db-root', 'shop']);
    expect(graph.excluded).toEqual([server('web'), volume('db-data')]);
  });

  it('follows the dependencies that the plan declares', async () => {
    await using world = await openWorld();
    const dependencies = [
      { from: server('db'), to: network('front') },
      { from: volume('elsewhere'), to: volume('nowhere') },
    ];
    const graph = await graphOf(world, { resources: [server('db')], dependencies });
    expect(idsOf(graph)).toEqual(['back', 'db', 'db-data', 'db-root', 'front']);
    const [db = -1, front = -1] = [graph.position(server('db')), graph.position(network('front'))];
    expect(graph.dependencies(db)).toContain(front);
  });

  it('fails where dependencies cannot be read, unless the plan allows for that', async () => {
    await using world = await openWorld();
    await rm(join(world.path, 'a', 'volumes', 'db-data.raw'));
    const strict = await world.acme.plans.create(shop());
    await refused(world, () => world.acme.plans.graph(strict.id), 'DISCOVERY_FAILED', /db-data/);
    const graph = await graphOf(world, { incomplete: 'allow' });
    expect(idsOf(graph)).toEqual(['back', 'db', 'db-root', 'front', 'shop', 'web', 'web-root']);
    expect(graph.incomplete).toEqual([
      { resource: server('db'), error: expect.objectContaining({ code: 'NOT_FOUND' }) },
    ]);
  });

  it.each<[string, Partial<NewPlan>, RegExp]>([
    ['a key of nothing', { resources: [server('gone')] }, /gone/],
    ['a rule that chooses nothing', { resources: [...SHOP, { name: 'gone-*' }] }, /gone-\*/],
    [
      'a declared dependency on nothing',
      { dependencies: [{ from: server('web'), to: server('gone') }] },
      /gone/,
    ],
  ])('is NOT_FOUND for %s', async (_, changes, message) => {
    await using world = await openWorld();
    await refused(world, () => graphOf(world, changes), 'NOT_FOUND', message);
  });

  it('is refused where all that was chosen is excluded', async () => {
    await using world = await openWorld();
    await refused(world, () => graphOf(world, { exclude: SHOP }), 'INVALID_OPTIONS', /excluded/);
  });

  it('is NOT_FOUND for a plan that is unknown, gone or of another tenant; a wrong id rejects', async () => {
    await using world = await openWorld();
    const { plans } = world.acme;
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    await refused(world, () => plans.graph('unknown' as PlanId), 'NOT_FOUND', /unknown/);
    await refused(world, () => rival.plans.graph(world.plan.id), 'NOT_FOUND');
    await plans.remove(world.plan.id);
    await refused(world, () => plans.graph(world.plan.id), 'NOT_FOUND');
    const rejected = plans.graph('../x' as PlanId);
    expect((await failure(() => rejected)).code).toBe('INVALID_ID');
  });

  it('asks nothing of the site once its caller has gone', async () => {
    const asked: string[] = [];
    await using world = await openWorld({
      tap: (what, run) => {
        asked.push(what);
        return run();
      },
    });
    const reason = new Error('no longer wanted');
    const signal = AbortSignal.abort(reason);
    await expect(world.acme.plans.graph(world.plan.id, { signal })).rejects.toBe(reason);
    expect(asked).toEqual([]);
  });

  it('ends when its caller goes', async () => {
    const caller = new AbortController();
    const reason = new Error('no longer wanted');
    await using world = await openWorld({
      tap: (what, run) => {
        if (what === 'dependencies Local::Application') caller.abort(reason);
        return run();
      },
    });
    const graph = world.acme.plans.graph(world.plan.id, { signal: caller.signal });
    await expect(graph).rejects.toBe(reason);
  });
});
