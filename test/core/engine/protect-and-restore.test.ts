import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import type { Checkpoint, Provider } from '../../../src/index.ts';
import { createEngine, defineProvider, type EngineOptions } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { storageArraySnapshot } from '../../../src/strategies/storage-array-snapshot.ts';
import { changeVolume, readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { KEYS } from '../archive/vaults.ts';

const VOLUMES = ['web-root', 'db-root', 'db-data'];
const ACME = { tenant: 'acme', actor: 'test' };

function providersIn(directory: string): { gold: Provider; silver: Provider; bronze: Provider } {
  const banks = [{ bank: filesystemBank(join(directory, 'bank')), keys: KEYS, role: 'primary' as const }];
  const gold = { name: 'gold', site: 'a', parts: [local({ root: join(directory, 'a') })], banks };
  return {
    gold: defineProvider(gold),
    silver: defineProvider({
      name: 'silver',
      site: 'b',
      parts: [local({ root: join(directory, 'b') })],
      banks,
    }),
    bronze: defineProvider({ ...gold, name: 'bronze', strategies: [storageArraySnapshot()] }),
  };
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const stores: Record<string, (directory: string) => EngineOptions['store']> = {
  memory: () => memoryStore(),
  SQLite: (directory) => sqliteStore(join(directory, 'fafnir.db')),
};

describe.each(Object.entries(stores))('an application on the %s store', (_name, store) => {
  it('is protected twice, restored elsewhere, verified and removed', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const { gold, silver } = providersIn(path);
    await using engine = await createEngine({ store: store(path), providers: [gold, silver] });
    const acme = engine.for(ACME);
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });

    const first = await (await acme.protect(plan.id)).result();
    expect(first).toMatchObject({ resources: 8, volumes: 3 });
    await changeVolume(join(path, 'a'), 'db-data', 1_000_000, 'changed');
    const expected = await Promise.all(VOLUMES.map((id) => readVolume(join(path, 'a'), id)));
    const second = await (await acme.protect(plan.id)).result();
    const states = (await all(acme.checkpoints.list())).map(({ id, state }) => ({ id, state }));
    expect(states).toEqual([
      { id: first.checkpoint, state: 'available' },
      { id: second.checkpoint, state: 'available' },
    ]);

    const restore = await acme.restore(second.checkpoint, { to: 'silver' });
    expect(await restore.result()).toMatchObject({ resources: 8, volumes: 3, bytes: first.bytes });
    const restored = await Promise.all(VOLUMES.map((id) => readVolume(join(path, 'b'), id)));
    for (const [at, bytes] of restored.entries())
      expect(bytes.equals(expected[at] ?? Buffer.of())).toBe(true);
    expect(await all(acme.jobs.standIns(restore.id))).toHaveLength(8);

    expect(await (await acme.verify(second.checkpoint)).result()).toMatchObject({ bytes: first.bytes });
    await (await acme.remove(first.checkpoint)).result();
    const after = await all(acme.checkpoints.list({ plan: plan.id }));
    expect(after.map(({ state }) => state)).toEqual(['removed', 'available']);
    expect(await (await acme.verify(second.checkpoint)).result()).toMatchObject({ bytes: first.bytes });
    const opened = await acme.checkpoints.get(second.checkpoint);
    const proofs = opened.artifacts.flatMap(
      ({ volume }) => volume?.copies.filter(({ kind }) => kind === 'archive') ?? [],
    );
    expect(proofs.map(({ proof }) => proof)).toEqual(['restored', 'restored', 'restored']);
  });
});

describe('snapshots on the array', () => {
  it('alone make a checkpoint that restores, and go when it is removed', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const { bronze, silver } = providersIn(path);
    await using engine = await createEngine({ store: memoryStore(), providers: [bronze, silver] });
    const acme = engine.for(ACME);
    const plan = await acme.plans.create({ name: 'shop', provider: 'bronze', resources: SHOP });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const expected = await readVolume(join(path, 'a'), 'db-data');
    await changeVolume(join(path, 'a'), 'db-data', 5, 'later');
    await (await acme.restore(checkpoint, { to: 'silver' })).result();
    expect((await readVolume(join(path, 'b'), 'db-data')).equals(expected)).toBe(true);
    expect(await readdir(join(path, 'a', 'snapshots'))).not.toEqual([]);
    await (await acme.remove(checkpoint)).result();
    expect(await readdir(join(path, 'a', 'snapshots'))).toEqual([]);
    const [listed] = await all<Checkpoint>(acme.checkpoints.list());
    expect(listed?.state).toBe('removed');
  });
});
