import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { createEngine, defineProvider, type Engine, type Session } from '../../../src/index.ts';
import type { CopyPlan, SnapshotStrategy } from '../../../src/core/contracts/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { KEYS } from '../archive/vaults.ts';
import { readVolume, SHOP, temporaryDirectory, writeShop } from './application.ts';
import { ExternalStore } from './external-store.ts';

const PROVEN: CopyPlan = {
  required: ['array', 'external'],
  background: [],
  store: 'outside',
  proof: 'source-compared',
  keep: 0,
};
const LATER: CopyPlan = { ...PROVEN, proof: 'stored', keep: 'all' };

const strategyOf = (plan: CopyPlan): SnapshotStrategy => ({
  contract: 1,
  name: 'outside',
  canHandle: () => ({ canHandle: true, reason: 'it is wanted' }),
  plan: () => plan,
});

interface World {
  readonly engine: Engine;
  readonly acme: Session;
  readonly site: string;
  readonly store: ExternalStore;
  protect(): ReturnType<Session['protect']>;
  snapshots(): Promise<readonly string[]>;
}

async function inWorld(plan: CopyPlan, test: (world: World) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory();
  const site = join(directory.path, 'a');
  await writeShop(site);
  const store = new ExternalStore(new Map());
  const gold = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [local({ root: site }), { contract: 1, name: 'outside', copyStores: [store] }],
    strategies: [strategyOf(plan)],
    banks: [{ bank: filesystemBank(join(directory.path, 'bank')), keys: KEYS, role: 'primary' }],
  });
  await using engine = await createEngine({ store: memoryStore(), providers: [gold] });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const { id } = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const snapshots = (): Promise<readonly string[]> => readdir(join(site, 'snapshots')).catch(() => []);
  await test({ engine, acme, site, store, protect: () => acme.protect(id), snapshots });
}

describe('a copy in an external store', () => {
  it('that is proven lets the snapshot go, is restored from, verified and removed', async () => {
    await inWorld(PROVEN, async ({ acme, site, store, protect, snapshots }) => {
      const before = await readVolume(site, 'db-data');
      const { checkpoint } = await (await protect()).result();
      const { artifacts, state } = await acme.checkpoints.get(checkpoint);
      const copies = artifacts.flatMap(({ volume }) => volume?.copies ?? []);
      expect(copies.map(({ kind, proof }) => [kind, proof])).toEqual(
        Array.from({ length: 3 }, () => ['external', 'source-compared']),
      );
      expect(state).toBe('available');
      expect(await snapshots()).toEqual([]);
      await rm(join(site, 'volumes', 'db-data.raw'));
      await (await acme.restore(checkpoint, { to: 'gold' })).result();
      const files = (await readdir(join(site, 'volumes'))).filter((file) => file.endsWith('.raw'));
      const ids = files.map((file) => file.replace('.raw', ''));
      const volumes = await Promise.all(ids.map((id) => readVolume(site, id)));
      expect(volumes.filter((one) => one.equals(before))).toHaveLength(1);
      expect(await (await acme.verify(checkpoint)).result()).toMatchObject({ copies: 3 });
      await (await acme.remove(checkpoint)).result();
      expect(store.held.size).toBe(0);
    });
  });

  it('that did not reach its proof fails the job, and goes', async () => {
    await inWorld(PROVEN, async ({ store, protect, snapshots }) => {
      store.claims = 'stored';
      await expect((await protect()).result()).rejects.toMatchObject({ code: 'NOT_PROVEN' });
      expect(store.held.size).toBe(0);
      expect(await snapshots()).toEqual([]);
    });
  });

  it('goes where another one fails', async () => {
    await inWorld(PROVEN, async ({ store, protect, snapshots }) => {
      store.failsAt = 3;
      await expect((await protect()).result()).rejects.toMatchObject({ code: 'PLUGIN_FAILED' });
      expect(store.held.size).toBe(0);
      expect(await snapshots()).toEqual([]);
    });
  });

  it('counts for nothing until it is proven', async () => {
    await inWorld(LATER, async ({ acme, site, protect }) => {
      const { checkpoint } = await (await protect()).result();
      const stateOf = async () => (await acme.checkpoints.get(checkpoint)).state;
      expect(await stateOf()).toBe('available');
      await rm(join(site, 'snapshots'), { recursive: true });
      await expect((await acme.verify(checkpoint, { sample: 0.5 })).result()).rejects.toThrow();
      expect(await stateOf()).toBe('failed');
      await expect((await acme.verify(checkpoint)).result()).rejects.toThrow();
      expect(await stateOf()).toBe('available');
    });
  });
});

describe('a strategy is refused that', () => {
  it.each([
    ['names no store', { ...PROVEN, store: undefined }, 'must name an external store'],
    ['names a store that is not there', { ...PROVEN, store: 'nowhere' }, 'which provider gold lacks'],
    ['gives up snapshots for what is not compared', { ...LATER, keep: 0 }, 'that is not compared'],
    ['wants it later', { ...PROVEN, required: ['array'], background: ['external'] }, 'in the background'],
    ['wants an archive beside it', { ...PROVEN, required: ['array', 'external', 'archive'] }, 'wants both'],
  ] as const)('%s', async (_, plan, message) => {
    await inWorld(plan as CopyPlan, async ({ protect }) => {
      const refused = { code: 'WRONG_ANSWER', message: expect.stringContaining(message) };
      await expect((await protect()).result()).rejects.toMatchObject(refused);
    });
  });
});
