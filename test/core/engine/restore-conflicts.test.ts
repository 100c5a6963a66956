import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { CheckpointId, JobStore, Provider, ResourceKey, RestoreResult } from '../../../src/index.ts';
import { createEngine, defineProvider } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { KEYS } from '../archive/vaults.ts';
import { writeVolume } from './application.ts';
import { fails } from './refusals.ts';
import { Gate, type Tap } from './taps.ts';
import { all, failure, filesBelow, openWorld, protect, providersIn, type World } from './world.ts';

const key = (type: string, id: string): ResourceKey => ({ type: `Local::${type}`, id });

/** A shop that is protected, and a destination that has a server `db` and a network `back` under other ids. */
async function prepared(): Promise<World & { checkpoint: CheckpointId }> {
  const world = await openWorld();
  const checkpoint = await protect(world);
  const root = join(world.path, 'b');
  for (const folder of ['servers', 'networks']) await mkdir(join(root, folder), { recursive: true });
  const db = { name: 'db', size: { cpus: 1, memory: 1 }, networks: [], volumes: [] };
  await writeFile(join(root, 'servers', 'other-db.json'), JSON.stringify(db));
  const back = { name: 'back', cidr: '10.0.2.0/24' };
  await writeFile(join(root, 'networks', 'other-back.json'), JSON.stringify(back));
  return { ...world, checkpoint };
}

const record = async (world: World, name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(world.path, 'b', `${name}.json`), 'utf8'));

async function standInOf(
  world: World,
  job: Parameters<World['acme']['jobs']['standIns']>[0],
  of: ResourceKey,
): Promise<string> {
  const standIns = await all(world.acme.jobs.standIns(job));
  return standIns.find(({ from }) => from.type === of.type && from.id === of.id)?.to.id ?? '';
}

describe('a restore to where names are taken', () => {
  it('does not look at names unless it is told what to do about them', async () => {
    await using world = await prepared();
    const job = await world.acme.restore(world.checkpoint, { to: 'silver' });
    expect(await job.result()).toMatchObject({ resources: 8 });
    const server = await standInOf(world, job.id, key('Server', 'db'));
    expect(await record(world, `servers/${server}`)).toMatchObject({ name: 'db' });
  });

  it('fails before any effect, and names every one', async () => {
    await using world = await prepared();
    const asked = { to: 'silver', conflict: 'fail' } as const;
    const { gaps, resources } = await world.acme.preview.restore(world.checkpoint, asked);
    expect(gaps).toEqual([
      'Local::Network/back would be a second one: silver has Local::Network/other-back of the name back',
      'Local::Server/db would be a second one: silver has Local::Server/other-db of the name db',
    ]);
    expect(resources.flatMap(({ conflict }) => conflict ?? [])).toEqual([
      key('Network', 'other-back'),
      key('Server', 'other-db'),
    ]);
    await fails(world, () => world.acme.restore(world.checkpoint, asked), 'MAPPING_GAP', /other-db/);
  });

  it('skips them: what is there stands for them, and what only they depend on is left out', async () => {
    await using world = await prepared();
    const before = await filesBelow(join(world.path, 'b'));
    const preview = await world.acme.preview.restore(world.checkpoint, { to: 'silver', conflict: 'skip' });
    expect(preview.gaps).toEqual([]);
    const job = await world.acme.run(preview);
    expect(await job.result()).toMatchObject({ resources: 4, volumes: 1, bytes: preview.bytes });
    expect(await standInOf(world, job.id, key('Server', 'db'))).toBe('other-db');
    expect(await record(world, 'applications/shop')).toMatchObject({ servers: ['web', 'other-db'] });
    const { networks } = await record(world, 'servers/web');
    expect(networks).toEqual([
      { network: 'front', address: '10.0.1.10' },
      { network: 'other-back', address: '10.0.2.10' },
    ]);
    expect(await filesBelow(join(world.path, 'b'))).toMatchObject(before);
  });

  it('skips nothing that two have the name of', async () => {
    await using world = await prepared();
    const twin = await record(world, 'servers/other-db');
    await writeFile(join(world.path, 'b', 'servers', 'third-db.json'), JSON.stringify(twin));
    const start = () => world.acme.restore(world.checkpoint, { to: 'silver', conflict: 'skip' });
    await fails(world, start, 'MAPPING_GAP', /Server\/db cannot be skipped: .*, and .*-db as well/);
  });

  it('renames what it creates, and nothing else', async () => {
    await using world = await prepared();
    const job = await world.acme.restore(world.checkpoint, { to: 'silver', conflict: 'rename' });
    expect(await job.result()).toMatchObject({ resources: 8 });
    const server = await standInOf(world, job.id, key('Server', 'db'));
    expect(await record(world, `servers/${server}`)).toMatchObject({
      name: expect.stringMatching(/^db-[0-9a-f]{8}$/),
      volumes: [{ volume: 'db-root', bootOrder: 0 }, { volume: 'db-data' }],
    });
    expect(await record(world, 'servers/web')).toMatchObject({ name: 'web' });
    expect(await record(world, 'servers/other-db')).toMatchObject({ name: 'db' });
  });

  it('renames volumes too', async () => {
    await using world = await prepared();
    await mkdir(join(world.path, 'b', 'volumes'), { recursive: true });
    await writeVolume(join(world.path, 'b'), 'db-data', 2_000_000);
    const resources = [key('Volume', 'db-data')];
    const job = await world.acme.restore(world.checkpoint, { to: 'silver', conflict: 'rename', resources });
    await job.result();
    const id = await standInOf(world, job.id, key('Volume', 'db-data'));
    expect(await record(world, `volumes/${id}`)).toMatchObject({ name: expect.stringMatching(/^db-data-/) });
  });

  it('does not take what it has created itself for what is there when another worker goes on with it', async () => {
    await using world = await prepared();
    const gate = new Gate((what) => what === 'connect Local::Application');
    const store = (): JobStore => sqliteStore(join(world.path, 'jobs.db'));
    const providers = (tap?: Tap): Provider[] => Object.values(providersIn(world.path, tap));
    const identity = { tenant: 'acme', actor: 'test' };
    const first = await createEngine({ store: store(), providers: providers(gate.tap) });
    const { id } = await first.for(identity).restore(world.checkpoint, { to: 'silver', conflict: 'skip' });
    await gate.reached;
    await first.close();
    await using second = await createEngine({ store: store(), providers: providers() });
    const result = await second.for(identity).jobs.handle<RestoreResult>(id).result();
    expect(result).toMatchObject({ resources: 4, volumes: 1 });
  });

  it('does not ask a plugin for other names that gives none', async () => {
    await using world = await prepared();
    const part = local({ root: join(world.path, 'b') });
    const protectables = part.protectables?.map(({ renames: _, ...plugin }) => plugin) ?? [];
    const silver = defineProvider({
      name: 'silver',
      site: 'b',
      parts: [{ ...part, protectables }],
      banks: [{ bank: filesystemBank(join(world.path, 'bank')), keys: KEYS, role: 'primary' }],
    });
    await using engine = await createEngine({ store: memoryStore(), providers: [silver] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const job = await acme.restore(world.checkpoint, { to: 'silver', conflict: 'rename' });
    const error = await failure(() => job.result());
    expect(error.message).toMatch(
      /Server\/db cannot be renamed: .* the plugin for Local::Server gives no other/,
    );
  });
});
