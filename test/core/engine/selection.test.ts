import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckpointId, NewPlan, OpenCheckpoint, PlanRecord, ProtectResult } from '../../../src/index.ts';
import { changeRecord, readVolume, SHOP, writeServer, writeShop } from './application.ts';
import { all, arraySnapshots, failure, filesBelow, openWorld, type World } from './world.ts';

const key = (type: string, id: string) => ({ type: `Local::${type}`, id });
const [WEB, DB, DB_DATA] = [key('Server', 'web'), key('Server', 'db'), key('Volume', 'db-data')];

let made = 0;

async function planOf({ acme }: World, changes: Partial<NewPlan>): Promise<PlanRecord> {
  made += 1;
  return acme.plans.create({ name: `plan ${made}`, provider: 'gold', resources: SHOP, ...changes });
}

const protect = async ({ acme }: World, plan: PlanRecord): Promise<ProtectResult> =>
  (await acme.protect(plan.id)).result();

const present = ({ artifacts }: OpenCheckpoint): string[] =>
  artifacts.map(({ resource }) => resource.id).sort();

const presentIn = async ({ acme }: World, { checkpoint }: ProtectResult): Promise<string[]> =>
  present(await acme.checkpoints.get(checkpoint));

const change = ({ path }: World, record: string, fields: object, site = 'a'): Promise<void> =>
  changeRecord(join(path, site), record, fields);

const addServer = ({ path }: World, id: string, fields?: object): Promise<void> =>
  writeServer(join(path, 'a'), id, fields);

async function expectSameBytes({ path }: World, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const [was, is] = await Promise.all(['a', 'b'].map((site) => readVolume(join(path, site), id)));
    expect(was?.equals(is ?? Buffer.of()), `bytes of ${id}`).toBe(true);
  }
}

/** What a site's server is joined to now. */
async function joined(
  { path }: World,
  site: string,
  id: string,
): Promise<{ volumes: string[]; networks: string[] }> {
  const record = JSON.parse(await readFile(join(path, site, 'servers', `${id}.json`), 'utf8'));
  return {
    volumes: record.volumes.map(({ volume }: { volume: string }) => volume),
    networks: record.networks.map(({ network }: { network: string }) => network),
  };
}

const restore = async (
  { acme }: World,
  id: CheckpointId,
  resources?: readonly { type: string; id: string }[],
) => (await acme.restore(id, { to: 'silver', ...(resources && { resources }) })).result();

describe('a plan by rule', () => {
  it.each<[string, NewPlan['resources'][number], object]>([
    ['type', { type: 'Local::Server' }, {}],
    ['tag', { tags: { tier: 'gold' } }, { tags: { tier: 'gold' } }],
    ['tag of any value', { tags: { tier: null } }, { tags: { tier: 'x' } }],
    ['name', { type: 'Local::Server', name: '*e*b' }, { name: 'eb' }],
    ['attribute', { attributes: { cpus: 1 } }, { size: { cpus: 1, memory: 1 } }],
  ])('of %s protects what joined since, at each run', async (_, rule, fields) => {
    await using world = await openWorld();
    await change(world, 'servers/web', { tags: { tier: 'gold' } });
    await change(world, 'servers/db', { size: { cpus: 2, memory: 1 } });
    const plan = await planOf(world, { resources: [rule] });
    const first = await presentIn(world, await protect(world, plan));
    expect(first).toEqual(expect.arrayContaining(['web', 'web-root']));
    expect(first).not.toContain('new');
    await addServer(world, 'new', fields);
    const second = await protect(world, plan);
    expect(await presentIn(world, second)).toEqual([...first, 'new', 'new-root'].sort());
    expect(second).toMatchObject({ state: 'available', excluded: 0 });
    expect((await world.acme.checkpoints.get(second.checkpoint)).commit.plan.resources).toEqual([rule]);
    await restore(world, second.checkpoint);
    await expectSameBytes(world, 'web-root', 'new-root');
  });

  it('no longer protects what left since, and keeps what earlier checkpoints have of it', async () => {
    await using world = await openWorld();
    for (const id of ['web', 'db']) await change(world, `servers/${id}`, { tags: { tier: 'gold' } });
    const plan = await planOf(world, { resources: [{ tags: { tier: 'gold' } }] });
    const first = await protect(world, plan);
    await change(world, 'servers/db', { tags: {} });
    const second = await protect(world, plan);
    expect(await presentIn(world, second)).toEqual(['back', 'front', 'web', 'web-root']);
    expect((await world.acme.checkpoints.get(second.checkpoint)).commit.base).toBe(first.checkpoint);
    await (await world.acme.verify(first.checkpoint)).result();
    expect(await restore(world, first.checkpoint, [DB])).toMatchObject({ volumes: 2 });
  });

  it('that chooses nothing any more fails, and leaves nothing', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, {
      resources: [{ name: 'gone' }],
      onFailure: 'continue',
      incomplete: 'allow',
    });
    expect((await failure(() => protect(world, plan))).code).toBe('NOT_FOUND');
    expect(await filesBelow(join(world.path, 'bank'))).toEqual({});
  });

  it('whose run is previewed is refused once something joined', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, { resources: [{ type: 'Local::Server' }] });
    const preview = await world.acme.preview.protect(plan.id);
    await addServer(world, 'new');
    const { code, message } = await failure(() => world.acme.run(preview));
    expect([code, message]).toEqual(['DRIFTED', expect.stringMatching(/new/)]);
  });
});

describe('what a plan excludes', () => {
  it('stays out with all that only it depends on, and is counted', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, { exclude: [WEB] });
    const result = await protect(world, plan);
    expect(await presentIn(world, result)).toEqual(['back', 'db', 'db-data', 'db-root', 'shop']);
    expect(result).toMatchObject({ state: 'available', excluded: 1, missing: 0, volumes: 2 });
    const { commit } = await world.acme.checkpoints.get(result.checkpoint);
    expect(commit).toMatchObject({ excluded: 1, plan: { exclude: [WEB] } });
    expect((await world.acme.checkpoints.graph(result.checkpoint)).excluded).toEqual([WEB]);
  });

  it('is a volume, and the server is protected without it', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, { exclude: [DB_DATA] });
    const result = await protect(world, plan);
    expect(await presentIn(world, result)).toEqual(
      ['back', 'db', 'db-root', 'front', 'shop', 'web', 'web-root'].sort(),
    );
    expect(result).toMatchObject({ state: 'available', excluded: 1, volumes: 2 });
    expect(await arraySnapshots(world)).toEqual([]);
    expect(await restore(world, result.checkpoint, [WEB])).toMatchObject({ resources: 4, volumes: 1 });
  });

  it('can be mapped to something that stands for it', async () => {
    await using world = await openWorld();
    const { checkpoint } = await protect(world, await planOf(world, { exclude: [DB_DATA] }));
    await writeShop(join(world.path, 'b'));
    const map = { resources: [{ from: DB_DATA, to: DB_DATA }] };
    const options = { to: 'silver', resources: [DB], map };
    expect((await world.acme.preview.restore(checkpoint, options)).gaps).toEqual([]);
    const restored = await world.acme.restore(checkpoint, options);
    expect(await restored.result()).toMatchObject({ volumes: 1 });
  });

  it('does not keep what depends on it from being restored, unless the preview says so', async () => {
    await using world = await openWorld();
    const { checkpoint, state } = await protect(world, await planOf(world, { exclude: [DB_DATA] }));
    expect(state).toBe('available');
    const preview = await world.acme.preview.restore(checkpoint, { to: 'silver', resources: [DB] });
    const job = await world.acme.run(preview);
    const made = await job.result().catch((error: unknown) => error);
    expect(preview.gaps.length > 0 ? preview : made).toMatchObject(
      preview.gaps.length > 0 ? { gaps: [expect.stringMatching(/db-data/)] } : { resources: 3, volumes: 1 },
    );
    if (preview.gaps.length > 0) expect(made).toMatchObject({ code: 'MAPPING_GAP' });
    else expect(await joined(world, 'b', 'db')).toMatchObject({ volumes: ['db-root'] });
  });

  it('by rule is looked for at each run', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, {
      resources: [{ type: 'Local::Server' }],
      exclude: [{ tags: { tier: 'scratch' } }],
    });
    expect(await protect(world, plan)).toMatchObject({ excluded: 0, volumes: 3 });
    await change(world, 'servers/db', { tags: { tier: 'scratch' } });
    const second = await protect(world, plan);
    expect(second).toMatchObject({ excluded: 1, volumes: 1, state: 'available' });
    expect(await presentIn(world, second)).toEqual(['back', 'front', 'web', 'web-root']);
  });

  it('may not be all', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, { exclude: [{ type: 'Local::Application' }] });
    expect((await failure(() => protect(world, plan))).code).toBe('INVALID_OPTIONS');
    expect(await all(world.acme.checkpoints.list())).toEqual([]);
  });
});

describe('a declared dependency', () => {
  it('is protected and restored', async () => {
    await using world = await openWorld();
    await addServer(world, 'cache');
    const CACHE = key('Server', 'cache');
    const plan = await planOf(world, { resources: [WEB], dependencies: [{ from: WEB, to: CACHE }] });
    const result = await protect(world, plan);
    expect(await presentIn(world, result)).toEqual([
      'back',
      'cache',
      'cache-root',
      'front',
      'web',
      'web-root',
    ]);
    const graph = await world.acme.checkpoints.graph(result.checkpoint);
    const [web = -1, cache = -1] = [graph.position(WEB), graph.position(CACHE)];
    expect(graph.dependencies(web)).toContain(cache);
    const preview = await world.acme.preview.restore(result.checkpoint, { to: 'silver', resources: [WEB] });
    expect(preview.resources.find(({ id }) => id === 'cache')).toMatchObject({ added: true });
    expect(await (await world.acme.run(preview)).result()).toMatchObject({ resources: 6, volumes: 2 });
    await expectSameBytes(world, 'web-root', 'cache-root');
    expect(await joined(world, 'b', 'cache')).toEqual(await joined(world, 'a', 'cache'));
  });

  it('of what is not part of the application means nothing', async () => {
    await using world = await openWorld();
    await addServer(world, 'cache');
    const dependencies = [{ from: key('Server', 'cache'), to: DB }];
    const result = await protect(world, await planOf(world, { resources: [WEB], dependencies }));
    expect(await presentIn(world, result)).toEqual(['back', 'front', 'web', 'web-root']);
  });

  it('on what is excluded does not exist', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, {
      resources: [WEB],
      dependencies: [{ from: WEB, to: DB }],
      exclude: [DB],
    });
    const result = await protect(world, plan);
    expect(result).toMatchObject({ state: 'available', excluded: 1, volumes: 1 });
    expect(await restore(world, result.checkpoint)).toMatchObject({ resources: 4 });
  });

  it('that closes a circle fails the run by its path', async () => {
    await using world = await openWorld();
    const plan = await planOf(world, { dependencies: [{ from: DB_DATA, to: key('Application', 'shop') }] });
    const { code, message } = await failure(() => protect(world, plan));
    expect([code, message]).toEqual(['CYCLE', expect.stringMatching(/db-data/)]);
    expect(await arraySnapshots(world)).toEqual([]);
  });
});
