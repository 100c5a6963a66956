import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  describeDifference,
  difference,
  type GraphDifference,
  isEmptyDifference,
  parseCheckpointId,
  type ProtectPreview,
  ResourceGraph,
} from '../../../src/index.ts';
import { toMermaid } from '../../../src/pictures.ts';
import { changeVolume, writeVolume } from './application.ts';
import { DAMAGES, objectFiles, whileDamaged } from './damage.ts';
import { refused } from './refusals.ts';
import { all, arraySnapshots, everything, failure, openWorld, protect, type World } from './world.ts';

const NEW_VOLUME = { type: 'Local::Volume', id: 'db-logs' };

/** Gives the database server one more volume. */
async function addVolume({ path }: World): Promise<void> {
  const site = join(path, 'a');
  await writeVolume(site, NEW_VOLUME.id, 2 ** 20);
  const file = join(site, 'servers', 'db.json');
  const server = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(
    file,
    JSON.stringify({ ...server, volumes: [...server.volumes, { volume: NEW_VOLUME.id }] }),
  );
}

const sent = (preview: ProtectPreview): ProtectPreview => JSON.parse(JSON.stringify(preview));

const grown: GraphDifference = {
  added: [NEW_VOLUME],
  gone: [],
  changed: [],
  edgesAdded: [{ from: { type: 'Local::Server', id: 'db' }, to: NEW_VOLUME }],
  edgesGone: [],
  excludedAdded: [],
  excludedGone: [],
  incompleteAdded: [],
  incompleteGone: [],
};

describe('the graph of a preview', () => {
  it('is the application, which can be compared and drawn', async () => {
    await using world = await openWorld();
    const { graph } = await world.acme.preview.protect(world.plan.id);
    const again = ResourceGraph.from(graph);
    expect(difference(again, await world.acme.plans.graph(world.plan.id))).toSatisfy(isEmptyDifference);
    expect(toMermaid(again)).toContain('db-data');
  });

  it('survives attributes that are nested deep', async () => {
    const depth = 2_000;
    const attributes = JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
    await using world = await openWorld({
      tap: async (what, run) => {
        const value = await run();
        if (what === 'find Local::Application' && Array.isArray(value)) {
          for (const resource of value) Object.assign(resource, { attributes });
        }
        return value;
      },
    });
    const preview = await world.acme.preview.protect(world.plan.id);
    let inner: unknown = preview.graph.resources.find(({ id }) => id === 'shop')?.attributes;
    for (let level = 0; level < depth && typeof inner === 'object' && inner !== null; level += 1) {
      expect(Object.isFrozen(inner)).toBe(true);
      [inner] = Object.values(inner);
    }
    expect(inner).toBe(1);
    expect(await (await world.acme.run(sent(preview))).result()).toMatchObject({ resources: 8 });
  });
});

describe('an application that drifted since its preview', () => {
  it('is refused by name, and nothing is done', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await addVolume(world);
    const before = await everything(world);
    const error = await failure(() => world.acme.run(sent(preview)));
    expect(error).toMatchObject({
      code: 'DRIFTED',
      message:
        'the application of plan shop is no longer as previewed: 1 added (Local::Volume/db-logs); ' +
        '1 edge added (Local::Server/db -> Local::Volume/db-logs)',
    });
    expect(await everything(world)).toEqual(before);
    expect(await arraySnapshots(world)).toEqual([]);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });

  it('is protected as it is now where that is accepted', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await addVolume(world);
    const asked: GraphDifference[] = [];
    const accept = (drift: GraphDifference): boolean => asked.push(drift) > 0;
    const job = await world.acme.run(sent(preview), { accept });
    const { checkpoint, volumes } = await job.result();
    expect(asked).toEqual([grown]);
    expect(volumes).toBe(4);
    const protectedGraph = await world.acme.checkpoints.graph(checkpoint);
    expect(difference(ResourceGraph.from(preview.graph), protectedGraph)).toEqual(grown);
    expect(difference(protectedGraph, await world.acme.plans.graph(world.plan.id))).toSatisfy(
      isEmptyDifference,
    );
  });

  it.each<[string, () => boolean | Promise<boolean>]>([
    ['false', () => false],
    ['false in time', async () => false],
    ['nothing', () => undefined as unknown as boolean],
    ['what is not true', () => 'yes' as unknown as boolean],
  ])('is refused where the answer is %s', async (_, accept) => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await addVolume(world);
    await refused(world, () => world.acme.run(preview, { accept }), 'DRIFTED', /db-logs/);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });

  it('is not protected where the answer fails, and says why', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await addVolume(world);
    const reason = new Error('nobody is there to ask');
    const accept = (): Promise<boolean> => Promise.reject(reason);
    await expect(world.acme.run(preview, { accept })).rejects.toBe(reason);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });

  it('is refused by the job where it changes once more after it was accepted', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await addVolume(world);
    const accept = async (): Promise<boolean> => {
      // What was found is what is accepted; this comes too late to be part of it.
      await rm(join(world.path, 'a', 'networks', 'front.json'));
      const file = join(world.path, 'a', 'servers', 'web.json');
      const server = JSON.parse(await readFile(file, 'utf8'));
      await writeFile(file, JSON.stringify({ ...server, networks: [] }));
      return true;
    };
    const job = await world.acme.run(preview, { accept });
    expect((await failure(() => job.result())).code).toBe('DRIFTED');
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('is not asked about where nothing but bytes changed', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await changeVolume(join(world.path, 'a'), 'db-data', 77, 'written meanwhile');
    const accept = (): boolean => {
      throw new Error('there is nothing to ask');
    };
    expect(await (await world.acme.run(preview, { accept })).result()).toMatchObject({ volumes: 3 });
  });
});

describe('a run of a preview', () => {
  it('is refused where its graph is broken', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    const broken: unknown[] = [
      preview.graph.digest,
      null,
      { ...preview.graph, edges: { from: [0], to: [99] } },
      { ...preview.graph, resources: preview.graph.resources.toReversed() },
    ];
    for (const graph of broken) {
      const changed = { ...preview, graph } as ProtectPreview;
      await refused(world, () => world.acme.run(changed), 'INVALID_OPTIONS', /graph/);
    }
  });

  it('is refused with options that it does not have', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    const yes = { accept: true } as unknown as { accept: () => boolean };
    await refused(world, () => world.acme.run(preview, yes), 'INVALID_OPTIONS', /accept/);
    const misspelt = { acept: () => true } as object;
    await refused(world, () => world.acme.run(preview, misspelt), 'INVALID_OPTIONS', /acept/);
    const verify = await world.acme.preview.verify(await protect(world));
    const accept = { accept: () => true } as object;
    await refused(world, () => world.acme.run(verify, accept), 'INVALID_OPTIONS', /accept/);
  });

  it('that is aborted while it looks for drift starts no job', async () => {
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    let armed = false;
    await using world = await openWorld({
      tap: (what, run) => {
        if (armed && what.startsWith('find')) controller.abort(reason);
        return run();
      },
    });
    const preview = await world.acme.preview.protect(world.plan.id);
    armed = true;
    await expect(world.acme.run(preview, { signal: controller.signal })).rejects.toBe(reason);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });
});

describe('the graph of a checkpoint', () => {
  it('shows what became of the application since', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const then = await world.acme.checkpoints.graph(checkpoint);
    expect(then.resources).toHaveLength(8);
    const drift = async (): Promise<GraphDifference> =>
      difference(then, await world.acme.plans.graph(world.plan.id));
    expect(describeDifference(await drift())).toBe('no difference');
    await addVolume(world);
    expect(await drift()).toEqual(grown);
  });

  it('is not there for another tenant, nor where there is no checkpoint', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    await refused(world, () => rival.checkpoints.graph(checkpoint), 'NOT_FOUND');
    await refused(world, () => world.acme.checkpoints.graph(parseCheckpointId('none')), 'NOT_FOUND');
  });

  it.each(Object.entries(DAMAGES))('is CORRUPT where %s', async (_, damage) => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    for (const file of await objectFiles(join(world.path, 'bank'), 'acme/graphs/')) {
      await whileDamaged(file, damage, () =>
        refused(world, () => world.acme.checkpoints.graph(checkpoint), 'CORRUPT'),
      );
    }
  });
});
