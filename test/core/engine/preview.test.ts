import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { graphDigest } from '../../../src/core/archive/stored-graph.ts';
import { describeKey } from '../../../src/core/graph/resource-graph.ts';
import type { CheckpointId, Preview, ResourceKey, RestoreMap } from '../../../src/index.ts';
import { changeVolume, writeShop } from './application.ts';
import { Recorder } from './taps.ts';
import {
  all,
  arraySnapshots,
  everything,
  failure,
  filesBelow,
  openWorld,
  protect,
  type World,
} from './world.ts';

const key = (type: string, id: string): ResourceKey => ({ type: `Local::${type}`, id });

const byKey = (a: ResourceKey, b: ResourceKey): number => (describeKey(a) < describeKey(b) ? -1 : 1);

function isFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozen);
}

/** What a preview must survive: a trip through a queue, a browser, a file. */
function sent<Value extends Preview>(preview: Value): Value {
  const received = JSON.parse(JSON.stringify(preview));
  expect(received).toEqual(preview);
  return received;
}

async function recordOf(world: World, site: 'a' | 'b', name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(world.path, site, `${name}.json`), 'utf8'));
}

async function changeRecord(world: World, name: string, change: object): Promise<void> {
  const record = await recordOf(world, 'a', name);
  await writeFile(join(world.path, 'a', `${name}.json`), JSON.stringify({ ...record, ...change }));
}

/** A world with a checkpoint, and an application on site `b` that mapped resources can be found in. */
async function withDestination(): Promise<{ world: World; checkpoint: CheckpointId }> {
  const world = await openWorld();
  const checkpoint = await protect(world);
  await writeShop(join(world.path, 'b'));
  return { world, checkpoint };
}

describe('previews', () => {
  it('change nothing, start no job, are frozen and are plain data', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const before = await everything(world);
    const { preview } = world.acme;
    const map: RestoreMap = { addresses: { '10.0.1.10': '10.0.1.99' } };
    const previews: Preview[] = [
      await preview.protect(world.plan.id),
      await preview.restore(checkpoint, { to: 'silver', map }),
      await preview.verify(checkpoint),
      await preview.remove(checkpoint),
    ];
    for (const one of previews) {
      expect(isFrozen(one)).toBe(true);
      sent(one);
    }
    expect(Object.isFrozen(map)).toBe(false);
    expect(await everything(world)).toEqual(before);
    expect(await all(world.acme.jobs.list())).toHaveLength(1);
  });

  it('ask plugins for nothing that has an effect', async () => {
    const recorder = new Recorder();
    await using world = await openWorld({ tap: recorder.tap });
    const checkpoint = await protect(world);
    recorder.calls.length = 0;
    await world.acme.preview.protect(world.plan.id);
    await world.acme.preview.restore(checkpoint, { to: 'silver' });
    await world.acme.preview.remove(checkpoint);
    const effects = /^(create|connect|remove|array\.(snapshot|remove|open)|bank\.(put|remove))/;
    expect(recorder.calls.filter((what) => effects.test(what))).toEqual([]);
    expect(recorder.calls).not.toEqual([]);
  });

  it('are the same while nothing changes', async () => {
    await using world = await openWorld();
    const { preview } = world.acme;
    expect(await preview.protect(world.plan.id)).toEqual(await preview.protect(world.plan.id));
  });
});

describe('a previewed protect', () => {
  it('does what was said', async () => {
    await using world = await openWorld();
    await protect(world);
    const preview = sent(await world.acme.preview.protect(world.plan.id));
    expect(preview.resources.map(({ type, id }) => `${type}/${id}`)).toHaveLength(8);
    const at = (type: string, id: string): number =>
      preview.resources.findIndex((one) => one.type === `Local::${type}` && one.id === id);
    expect(at('Application', 'shop')).toBe(7);
    expect(at('Volume', 'db-data')).toBeLessThan(at('Server', 'db'));
    expect(at('Network', 'back')).toBeLessThan(at('Server', 'web'));
    const result = await (await world.acme.run(preview)).result();
    expect(result).toMatchObject({ resources: 8, volumes: 3, bytes: preview.bytes });
    const { artifacts, commit } = await world.acme.checkpoints.get(result.checkpoint);
    expect(commit.base).toBe(preview.base);
    const made = await world.acme.checkpoints.graph(result.checkpoint);
    expect(graphDigest(made)).toBe(preview.graph.digest);
    const announced = preview.snapshots.flatMap(({ consistency, volumes }) =>
      volumes.map((one) => ({ consistency, ...one })),
    );
    expect(announced).toHaveLength(3);
    for (const { resource, volume, consistency, strategy, copies, arrayCopy } of announced) {
      const artifact = artifacts.find((one) => one.resource.id === resource.id && one.volume !== null);
      expect(artifact?.volume).toMatchObject({ volume, consistency, strategy, arrayCopy });
      const left = copies.filter((kind) => kind !== 'array' || arrayCopy !== 'removed');
      expect(artifact?.volume?.copies.map(({ kind }) => kind)).toEqual(left);
    }
  });

  it.each([
    ['lost a server', 'applications/shop', { servers: ['web'] }],
    ['lost a network', 'servers/web', { networks: [{ network: 'front', address: '10.0.1.10' }] }],
    ['has a server of another size', 'servers/db', { size: { cpus: 4, memory: 1024 ** 3 } }],
    ['has a server of another name', 'servers/db', { name: 'database' }],
  ])('is refused once the application %s', async (_what, record, change) => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await changeRecord(world, record, change);
    const before = await everything(world);
    const error = await failure(async () => (await world.acme.run(preview)).result());
    expect(error.code).toBe('DRIFTED');
    expect(await everything(world)).toEqual(before);
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('is not refused because bytes of a volume changed', async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    await changeVolume(join(world.path, 'a'), 'db-data', 77, 'written meanwhile');
    expect(await (await world.acme.run(preview)).result()).toMatchObject({ volumes: 3 });
  });

  it("is refused to another tenant, and so is an operation that doesn't exist", async () => {
    await using world = await openWorld();
    const preview = await world.acme.preview.protect(world.plan.id);
    const rival = world.engine.for({ tenant: 'rival', actor: 'test' });
    expect((await failure(() => rival.run(preview))).code).toBe('NOT_FOUND');
    const unknown = { ...preview, operation: 'destroy' } as unknown as typeof preview;
    expect((await failure(() => world.acme.run(unknown))).code).toBe('INVALID_OPTIONS');
  });
});

describe('a previewed removal and verification', () => {
  it('name the copies that are then read and removed', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const checkpoint = await protect(world);
    const verify = sent(await world.acme.preview.verify(checkpoint));
    const remove = sent(await world.acme.preview.remove(checkpoint));
    expect(remove.copies).toEqual(verify.copies);
    expect(await (await world.acme.run(verify)).result()).toMatchObject({ copies: verify.copies.length });
    expect(await arraySnapshots(world)).toHaveLength(remove.copies.length);
    await (await world.acme.run(remove)).result();
    expect(await arraySnapshots(world)).toEqual([]);
    expect((await world.acme.preview.remove(checkpoint)).copies).toEqual([]);
  });
});

describe('a previewed restore', () => {
  it('does what was said', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const preview = sent(await world.acme.preview.restore(checkpoint, { to: 'silver' }));
    expect(preview).toMatchObject({ gaps: [], map: {} });
    const job = await world.acme.run(preview);
    const { resources, bytes } = await job.result();
    expect({ resources, bytes }).toEqual({ resources: preview.resources.length, bytes: preview.bytes });
    const made = (await all(world.acme.jobs.standIns(job.id))).map(({ from }) => from);
    const said = preview.resources.map(({ type, id }) => ({ type, id }));
    expect(made.toSorted(byKey)).toEqual(said.toSorted(byKey));
  });

  it('lists every gap, and is refused while there is one', async () => {
    const { world, checkpoint } = await withDestination();
    await using _ = world;
    const resources = [
      { from: key('Network', 'front'), to: key('Network', 'nowhere') },
      { from: key('Network', 'back'), to: { type: 'Other::Network', id: 'back' } },
      { from: key('Network', 'unheard-of'), to: key('Network', 'back') },
    ];
    const preview = await world.acme.preview.restore(checkpoint, { to: 'silver', map: { resources } });
    expect(preview.gaps).toHaveLength(3);
    for (const name of ['nowhere', 'Other::Network', 'unheard-of']) {
      expect(preview.gaps.filter((gap) => gap.includes(name))).toHaveLength(1);
    }
    const before = await everything(world);
    const job = await world.acme.run(preview);
    const error = await failure(() => job.result());
    expect(error.code).toBe('MAPPING_GAP');
    for (const gap of preview.gaps) expect(error.message).toContain(gap);
    expect(await everything(world)).toEqual(before);
  });

  it('uses the stand-in of a mapped network, and makes none', async () => {
    const { world, checkpoint } = await withDestination();
    await using _ = world;
    const networks = await filesBelow(join(world.path, 'b', 'networks'));
    const resources = [{ from: key('Network', 'front'), to: key('Network', 'back') }];
    const map = { resources, addresses: { '10.0.1.10': '10.0.2.77' } };
    const preview = await world.acme.preview.restore(checkpoint, { to: 'silver', map });
    expect(preview.gaps).toEqual([]);
    const job = await world.acme.run(sent(preview));
    expect(await job.result()).toMatchObject({ resources: 7 });
    const standIns = await all(world.acme.jobs.standIns(job.id));
    const standInOf = ({ type, id }: ResourceKey): string =>
      standIns.find(({ from }) => from.type === type && from.id === id)?.to.id ?? '';
    expect(standInOf(key('Network', 'front'))).toBe('back');
    const web = await recordOf(world, 'b', `servers/${standInOf(key('Server', 'web'))}`);
    expect(web.networks).toEqual([
      { network: 'back', address: '10.0.2.77' },
      { network: standInOf(key('Network', 'back')), address: '10.0.2.10' },
    ]);
    expect(await filesBelow(join(world.path, 'b', 'networks'))).toMatchObject(networks);
    expect(Object.keys(await filesBelow(join(world.path, 'b', 'networks')))).toHaveLength(3);
  });

  it('leaves out what only a mapped resource depends on', async () => {
    const { world, checkpoint } = await withDestination();
    await using _ = world;
    const map = { resources: [{ from: key('Server', 'db'), to: key('Server', 'db') }] };
    const preview = await world.acme.preview.restore(checkpoint, { to: 'silver', map });
    expect(preview.resources.map(({ type, id }) => `${type}/${id}`).sort()).toEqual(
      ['Application/shop', 'Network/back', 'Network/front', 'Server/db', 'Server/web', 'Volume/web-root'].map(
        (name) => `Local::${name}`,
      ),
    );
    const volumes = Object.keys(await filesBelow(join(world.path, 'b', 'volumes'))).length;
    const { bytes } = await (await world.acme.run(preview)).result();
    expect(bytes).toBe(preview.bytes);
    // A raw file and its record.
    expect(Object.keys(await filesBelow(join(world.path, 'b', 'volumes')))).toHaveLength(volumes + 2);
  });

  it('with an address that does not fit is refused, and leaves nothing', async () => {
    const { world, checkpoint } = await withDestination();
    await using _ = world;
    const before = await everything(world);
    const map = { addresses: { '10.0.1.10': '192.168.7.7' } };
    const job = await world.acme.restore(checkpoint, { to: 'silver', map });
    expect((await failure(() => job.result())).code).toBe('MAPPING_GAP');
    expect(await everything(world)).toEqual(before);
  });

  it('to a stand-in of a type that cannot stand there is refused', async () => {
    const { world, checkpoint } = await withDestination();
    await using _ = world;
    const resources = [{ from: key('Volume', 'db-data'), to: key('Network', 'front') }];
    const before = await everything(world);
    const job = await world.acme.restore(checkpoint, { to: 'silver', map: { resources } });
    expect((await failure(() => job.result())).code).toBe('MAPPING_GAP');
    expect(await everything(world)).toEqual(before);
  });

  it('that maps one resource to two is refused', async () => {
    const { world, checkpoint } = await withDestination();
    await using _ = world;
    const from = key('Network', 'front');
    const resources = [
      { from, to: key('Network', 'front') },
      { from, to: key('Network', 'back') },
    ];
    const work = () => world.acme.preview.restore(checkpoint, { to: 'silver', map: { resources } });
    expect((await failure(work)).code).toBe('INVALID_OPTIONS');
  });

  it('of a checkpoint that was removed is refused', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const preview = await world.acme.preview.restore(checkpoint, { to: 'silver' });
    await (await world.acme.remove(checkpoint)).result();
    const job = await world.acme.run(preview);
    expect((await failure(() => job.result())).code).toBe('NOT_AVAILABLE');
    const again = () => world.acme.preview.restore(checkpoint, { to: 'silver' });
    expect((await failure(again)).code).toBe('NOT_AVAILABLE');
  });
});
