import { createHash } from 'node:crypto';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckpointId, JobStore, Provider, ResourceKey, RestoreResult } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { changeVolume, readVolume } from './application.ts';
import { fails } from './refusals.ts';
import { Fault, Gate, type Tap } from './taps.ts';
import {
  all,
  availableOf,
  failure,
  filesBelow,
  openWorld,
  protect,
  providersIn,
  VOLUMES,
  type World,
} from './world.ts';

const key = (type: string, id: string): ResourceKey => ({ type: `Local::${type}`, id });
const replace = { to: 'silver', conflict: 'replace' } as const;
const SIZE = 3.5 * 1024 * 1024;

interface Twins extends World {
  readonly checkpoint: CheckpointId;
  /** What the checkpoint has, and what site `b` has, of the volumes. */
  readonly protectedBytes: readonly string[];
  readonly otherBytes: readonly string[];
}

const digestAt = async (world: World, site: string, id: string): Promise<string> =>
  createHash('sha256')
    .update(await readVolume(join(world.path, site), id))
    .digest('hex');
const bytesAt = (world: World, site: string): Promise<string[]> =>
  Promise.all(VOLUMES.map((id) => digestAt(world, site, id)));
const recordPath = (world: World, name: string): string => join(world.path, 'b', `${name}.json`);
const record = async (world: World, name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(recordPath(world, name), 'utf8'));

/** A shop that is protected, and on site `b` the same shop, whose data and descriptions have become others. */
async function twins(of: { readonly tap?: Tap } = {}): Promise<Twins> {
  const world = await openWorld(of);
  const checkpoint = await protect(world);
  await (await world.acme.restore(checkpoint, { to: 'silver' })).result();
  for (const id of VOLUMES) {
    await changeVolume(join(world.path, 'b'), id, 1_000, 'changed');
    await changeVolume(join(world.path, 'b'), id, 1_400_000, 'in a hole');
  }
  const db = await record(world, 'servers/db');
  await writeFile(recordPath(world, 'servers/db'), JSON.stringify({ ...db, metadata: { tier: 'large' } }));
  const [protectedBytes, otherBytes] = [await bytesAt(world, 'a'), await bytesAt(world, 'b')];
  return { ...world, checkpoint, protectedBytes, otherBytes };
}

/** Of what is there, takes the application away, and one server with its volume. */
async function withoutWeb(world: Twins): Promise<void> {
  for (const name of ['applications/shop.json', 'servers/web.json', 'volumes/web-root.json'])
    await rm(join(world.path, 'b', name));
  await rm(join(world.path, 'b', 'volumes', 'web-root.raw'));
}

/** The names of all files of site `b`, and all records. */
async function lookOf(world: World): Promise<readonly string[]> {
  const names = Object.keys(await filesBelow(join(world.path, 'b'))).sort();
  const look = names.map(async (name) =>
    name.endsWith('.json') ? `${name} ${await readFile(join(world.path, 'b', name), 'utf8')}` : name,
  );
  return Promise.all(look);
}

describe('a restore that replaces', () => {
  it('puts data into the volumes of what is there, and changes nothing else', async () => {
    await using world = await twins();
    const before = await lookOf(world);
    const preview = await world.acme.preview.restore(world.checkpoint, replace);
    expect(preview).toMatchObject({ gaps: [], safety: 'checkpoint', bytes: 3 * SIZE });
    const overwrites = preview.resources.filter(({ overwrites }) => overwrites !== null);
    expect(overwrites.map(({ id }) => id).sort()).toEqual(['db-data', 'db-root', 'web-root']);
    for (const { id, conflict, standIn, overwrites: volume } of overwrites) {
      expect([conflict, standIn]).toEqual([key('Volume', id), key('Volume', id)]);
      expect(volume).toEqual({ array: 'files', id, size: SIZE });
    }
    const { safety, ...result } = await (await world.acme.run(preview)).result();
    const by = { revert: 0, clone: 0, copy: 3 };
    expect(result).toEqual({
      checkpoint: world.checkpoint,
      resources: 0,
      volumes: 3,
      probed: 0,
      by,
      bytes: 3 * SIZE,
    });
    expect(await bytesAt(world, 'b')).toEqual(world.protectedBytes);
    expect(await lookOf(world)).toEqual(before);

    if (safety === undefined) expect.fail('nothing was protected');
    await (await world.acme.restore(safety, { to: 'silver', into: 'existing' })).result();
    expect(await bytesAt(world, 'b')).toEqual(world.otherBytes);
  });

  it('creates what is not there, and joins it to what is', async () => {
    await using world = await twins();
    await withoutWeb(world);
    const job = await world.acme.restore(world.checkpoint, { ...replace, safety: 'none' });
    const result = await job.result();
    expect(result).toMatchObject({ resources: 3, volumes: 3, bytes: 3 * SIZE });
    expect(result).not.toHaveProperty('safety');
    expect(await bytesAt(world, 'b')).toEqual(world.protectedBytes);
    expect(await record(world, 'applications/shop')).toMatchObject({ servers: ['web', 'db'] });
    expect(await record(world, 'servers/db')).toMatchObject({ metadata: { tier: 'large' } });
    const standIns = await all(world.acme.jobs.standIns(job.id));
    expect(standIns).toHaveLength(8);
    expect((await all(world.acme.jobs.restored(job.id))).map(({ resource }) => resource.id).sort()).toEqual(
      [...VOLUMES].sort(),
    );
  });

  it('puts back what was there, and removes what it has created, where it fails', async () => {
    const matches = (what: string): boolean => what === 'connect Local::Application';
    await using world = await twins({ tap: new Fault({ matches, at: 2 }).tap });
    await withoutWeb(world);
    const before = await lookOf(world);
    const job = await world.acme.restore(world.checkpoint, replace);
    const error = await failure(() => job.result());
    expect(error.message).toMatch(/injected fault; what was there before is in checkpoint \S+$/);
    expect(await lookOf(world)).toEqual(before);
    for (const [at, id] of VOLUMES.entries()) {
      if (id !== 'web-root') expect(await digestAt(world, 'b', id)).toBe(world.otherBytes[at]);
    }
    expect(await availableOf(world)).toHaveLength(2);
    expect(await all(world.acme.jobs.restored(job.id))).toEqual([]);
  });

  it('keeps what it did where it fails and is told to', async () => {
    const matches = (what: string): boolean => what === 'connect Local::Application';
    await using world = await twins({ tap: new Fault({ matches, at: 2 }).tap });
    await withoutWeb(world);
    const job = await world.acme.restore(world.checkpoint, { ...replace, onFailure: 'keep' });
    const { message } = await failure(() => job.result());
    expect(message).toMatch(/kept as far as it was made: .*Local::Server\/web.*; kept as far as it was over/);
    expect(await bytesAt(world, 'b')).toEqual(world.protectedBytes);
  });

  it('is gone on with by another worker, which creates and overwrites nothing else', async () => {
    await using world = await twins();
    await withoutWeb(world);
    const gate = new Gate((what) => what === 'connect Local::Application');
    const store = (): JobStore => sqliteStore(join(world.path, 'jobs.db'));
    const providers = (tap?: Tap): Provider[] => Object.values(providersIn(world.path, tap));
    const identity = { tenant: 'acme', actor: 'test' };
    const first = await createEngine({ store: store(), providers: providers(gate.tap) });
    const { id } = await first.for(identity).restore(world.checkpoint, replace);
    await gate.reached;
    await first.close();
    await using second = await createEngine({ store: store(), providers: providers() });
    const result = await second.for(identity).jobs.handle<RestoreResult>(id).result();
    expect(result).toMatchObject({ resources: 3, volumes: 3 });
    expect(await bytesAt(world, 'b')).toEqual(world.protectedBytes);
    expect(await record(world, 'applications/shop')).toMatchObject({ servers: ['web', 'db'] });
  });

  it('is as any restore where nothing is there', async () => {
    await using world = await openWorld();
    const checkpoint = await protect(world);
    const result = await (await world.acme.restore(checkpoint, replace)).result();
    expect(result).toMatchObject({ resources: 8, volumes: 3 });
    expect(result).not.toHaveProperty('safety');
  });
});

describe('a restore that replaces is refused before any effect', () => {
  const cases: readonly (readonly [string, (world: Twins) => Promise<unknown>, RegExp])[] = [
    [
      'two have a name',
      async (world) => {
        const twin = JSON.stringify(await record(world, 'servers/db'));
        await writeFile(recordPath(world, 'servers/third-db'), twin);
      },
      /Server\/db cannot replace one: silver has .*Server\/\S+ of the name db, and .*Server\/\S+ as well/,
    ],
    [
      'a volume has another size',
      (world) => truncate(join(world.path, 'b', 'volumes', 'db-data.raw'), 5_000_000),
      /db-data has 5000000 bytes, and .*\/db-data had 3670016/,
    ],
    [
      'a volume of a server is not there',
      async (world) => {
        const { volumes: _, ...db } = await record(world, 'servers/db');
        await writeFile(
          recordPath(world, 'servers/db'),
          JSON.stringify({ ...db, volumes: [{ volume: 'db-root' }] }),
        );
        for (const end of ['raw', 'json']) await rm(join(world.path, 'b', 'volumes', `db-data.${end}`));
      },
      /Volume\/db-data has no place in .*Server\/db, which stands for .*: silver has none of its name/,
    ],
    [
      'a volume of that name is not the server’s',
      async (world) => {
        const db = await record(world, 'servers/db');
        await writeFile(
          recordPath(world, 'servers/db'),
          JSON.stringify({ ...db, volumes: [{ volume: 'db-root' }] }),
        );
      },
      /Volume\/db-data has no place in .*Server\/db, .*: Local::Volume\/db-data is not joined to it/,
    ],
    [
      'a server of the application is not there',
      (world) => Promise.all([rm(recordPath(world, 'servers/web')), forgetWeb(world)]),
      /Server\/web has no place in .*Application\/shop, which stands for .*: silver has none of its name/,
    ],
  ];

  it.each(cases)('where %s', async (_, change, words) => {
    await using world = await twins();
    await change(world);
    const { gaps } = await world.acme.preview.restore(world.checkpoint, replace);
    expect(gaps.join('; ')).toMatch(words);
    await fails(world, () => world.acme.restore(world.checkpoint, replace), 'MAPPING_GAP', words);
  });

  it('where two would be written to one volume', async () => {
    await using world = await openWorld();
    const rename = JSON.stringify({ name: 'db-root' });
    await writeFile(join(world.path, 'a', 'volumes', 'db-data.json'), rename);
    const checkpoint = await protect(world);
    const resources = [key('Volume', 'db-root')];
    await (await world.acme.restore(checkpoint, { to: 'silver', resources })).result();
    const both = { ...replace, resources: [...resources, key('Volume', 'db-data')] };
    const words = /Volume\/db-\w+ and .*Volume\/db-\w+ would both be written to volume db-root/;
    await fails(world, () => world.acme.restore(checkpoint, both), 'MAPPING_GAP', words);
  });
});

async function forgetWeb(world: World): Promise<void> {
  const shop = await record(world, 'applications/shop');
  await writeFile(recordPath(world, 'applications/shop'), JSON.stringify({ ...shop, servers: ['db'] }));
}
