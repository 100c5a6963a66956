import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { createEngine, defineProvider, type Engine, type Session } from '../../../src/index.ts';
import type { CopyPlan, SnapshotStrategy } from '../../../src/core/contracts/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { collect } from '../../../src/testing/storage-array/helpers.ts';
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
  readonly bank: string;
  readonly store: ExternalStore;
  protect(): ReturnType<Session['protect']>;
  snapshots(): Promise<readonly string[]>;
}

async function inWorld(plan: CopyPlan, test: (world: World) => Promise<void>): Promise<void> {
  await using directory = await temporaryDirectory();
  const site = join(directory.path, 'a');
  await writeShop(site);
  const bank = join(directory.path, 'bank');
  const store = new ExternalStore(new Map());
  const gold = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [local({ root: site }), { contract: 1, name: 'outside', copyStores: [store] }],
    strategies: [strategyOf(plan)],
    banks: [{ bank: filesystemBank(bank), keys: KEYS, role: 'primary' }],
  });
  await using engine = await createEngine({ store: memoryStore(), providers: [gold] });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const { id } = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  const snapshots = (): Promise<readonly string[]> => readdir(join(site, 'snapshots')).catch(() => []);
  await test({ engine, acme, site, bank, store, protect: () => acme.protect(id), snapshots });
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

describe('a reconciliation', () => {
  const NOTHING = { count: 0, first: [] };
  const reconcile = async (engine: Engine, preview = false) => {
    const { external } = await engine.reconcile({ provider: 'gold', preview });
    const [outside] = external;
    if (outside === undefined || external.length > 1) throw new Error('there is one store');
    return outside;
  };
  const listed = async (store: ExternalStore) => {
    const call = { signal: new AbortController().signal };
    return (await collect(store.list('', call))).map(({ token, volume }) => ({ name: token, volume }));
  };

  it('leaves alone what a checkpoint counts on in an external store', async () => {
    await inWorld(PROVEN, async ({ engine, store, protect }) => {
      await (await protect()).result();
      const before = await listed(store);
      expect(await reconcile(engine)).toEqual({
        store: 'outside',
        referenced: 3,
        inUse: 0,
        orphans: NOTHING,
        removed: 0,
        failed: NOTHING,
        foreign: [],
        missing: NOTHING,
      });
      expect(await listed(store)).toEqual(before);
    });
  });

  it('removes what nobody counts on there, tells of other installations, and passes over what is no copy of ours', async () => {
    await inWorld(PROVEN, async ({ engine, bank, store, protect }) => {
      await (await protect()).result();
      await rm(join(bank, 'acme', 'commits'), { recursive: true });
      const lost = await listed(store);
      const foreign = `faf-0123456789ab-${'c'.repeat(27)}`;
      for (const token of [foreign, 'nightly']) store.held.set(`${token}~db-data`, Buffer.alloc(1));
      await (await protect()).result();
      const orphans = { count: 3, first: expect.arrayContaining(lost) };
      expect(await reconcile(engine, true)).toMatchObject({ referenced: 3, orphans, removed: 0 });
      expect(await listed(store)).toHaveLength(8);
      expect(await reconcile(engine)).toMatchObject({
        referenced: 3,
        orphans,
        removed: 3,
        failed: NOTHING,
        foreign: [{ installation: '0123456789ab', snapshots: 1, isRecorded: false }],
      });
      const left = (await listed(store)).map(({ name }) => name);
      expect(left).toHaveLength(5);
      expect(left).toEqual(expect.arrayContaining([foreign, 'nightly']));
    });
  });

  it('tells which copies a store does not have any more', async () => {
    await inWorld(PROVEN, async ({ engine, acme, store, protect }) => {
      const { checkpoint } = await (await protect()).result();
      const [gone] = await listed(store);
      store.held.delete(`${gone?.name}~${gone?.volume}`);
      const missing = { count: 1, first: [{ tenant: 'acme', checkpoint, ...gone }] };
      expect(await reconcile(engine)).toMatchObject({ referenced: 2, orphans: NOTHING, missing });
      // Only a verification takes it for lost.
      expect((await acme.checkpoints.get(checkpoint)).state).toBe('available');
    });
  });

  it('leaves alone what a job under way has made', async () => {
    await inWorld(PROVEN, async ({ engine, store, protect }) => {
      const { promise: isMade, resolve: made } = Promise.withResolvers<void>();
      const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
      store.restored = (bytes) => {
        made();
        return bytes;
      };
      const create = store.create.bind(store);
      store.create = async (...given) => {
        const copy = await create(...given);
        await mayEnd;
        return copy;
      };
      const job = await protect();
      await isMade;
      const found = await reconcile(engine);
      expect(found).toMatchObject({ referenced: 0, orphans: NOTHING, removed: 0 });
      expect(found.inUse).toBeGreaterThan(0);
      end();
      await job.result();
      expect(await reconcile(engine)).toMatchObject({ referenced: 3, inUse: 0 });
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
