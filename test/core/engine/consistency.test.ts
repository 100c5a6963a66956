import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { createEngine, defineProvider, FafnirError, type SnapshotHooks } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { KEYS } from '../archive/vaults.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { HOST, System } from './hosts.ts';
import { arraySnapshots, failure, hastyClock } from './world.ts';

type Hooks = Partial<SnapshotHooks>;

/** An engine over the shop whose servers have hooks and no way to be paused of their own. */
async function openHooked(hooks: Hooks | undefined) {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await writeShop(join(path, 'a'));
  const log: string[] = [];
  const logging: SnapshotHooks = {
    type: 'Local::Server',
    before: async ({ id }, { token, deadline }) => {
      expect([token.length, deadline > systemClock.now()]).toEqual([32, true]);
      log.push(`before ${id}`);
    },
    after: async () => {
      log.push('after');
    },
  };
  const gold = defineProvider({
    name: 'gold',
    site: 'a',
    parts: [local({ root: join(path, 'a') })],
    banks: [{ bank: filesystemBank(join(path, 'bank')), keys: KEYS, role: 'primary' }],
    ...(hooks && { hooks: [{ ...logging, ...hooks }] }),
  });
  const engine = await createEngine({ store: memoryStore(), providers: [gold], clock: hastyClock });
  const acme = engine.for({ tenant: 'acme', actor: 'test' });
  const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
  return {
    path,
    log,
    acme,
    plan: plan.id,
    async [Symbol.asyncDispose]() {
      await engine.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('hooks around snapshots', () => {
  it('run before and after, are measured, and make the snapshot one of the application', async () => {
    await using world = await openHooked({});
    const { acme, plan, log } = world;
    const policy = { consistency: 'application', onInconsistency: 'refuse' } as const;
    const { checkpoint } = await (await acme.protect(plan, { policy })).result();
    expect(log.toSorted()).toEqual(['after', 'after', 'before db', 'before web']);
    const { artifacts } = await acme.checkpoints.get(checkpoint);
    for (const { volume } of artifacts) {
      if (volume === null) continue;
      expect(volume.consistency).toBe('application');
      expect(volume.pauseMilliseconds).toBeGreaterThanOrEqual(0);
      expect(volume.skewMilliseconds).toBeGreaterThanOrEqual(0);
    }
  });

  it('that fail or take too long fail the snapshot, and are called after all the same', async () => {
    const late = (): Promise<void> => new Promise(() => undefined);
    const refuse = (): Promise<void> => Promise.reject(new FafnirError('ACCESS_DENIED', 'no'));
    for (const [hooks, code] of [
      [{ before: late, beforeMilliseconds: 1 }, 'UNAVAILABLE'],
      [{ before: refuse }, 'ACCESS_DENIED'],
    ] as const) {
      await using world = await openHooked(hooks);
      const { acme, plan, log } = world;
      expect(await failure(async () => (await acme.protect(plan)).result())).toMatchObject({ code });
      expect(log).toContain('after');
      expect(await arraySnapshots(world)).toEqual([]);
    }
  });

  it('are refused for a type that there is not', async () => {
    expect(await failure(() => openHooked({ type: 'Local::Ship' }))).toMatchObject({ code: 'UNKNOWN_TYPE' });
  });
});

describe('the consistency that is asked for', () => {
  it('is refused before the first effect where it cannot be had', async () => {
    await using world = await openHooked(undefined);
    const { acme, plan } = world;
    const policy = { consistency: 'application', onInconsistency: 'refuse' } as const;
    expect(await failure(() => acme.preview.protect(plan, { policy }))).toMatchObject({
      code: 'INCONSISTENT',
      message: expect.stringMatching(/Local::Volume.*application is asked for/),
    });
    expect(await failure(async () => (await acme.protect(plan, { policy })).result())).toMatchObject({
      code: 'INCONSISTENT',
    });
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('fails all volumes of a group that is worth less, and no others, where the plan continues', async () => {
    const hosts = { one: { disks: ['a/1', 'a/2'] }, two: { disks: ['a/3', 'b/1'] } };
    const { provider } = new System(hosts, { pausable: false });
    await using engine = await createEngine({
      store: memoryStore(),
      providers: [provider],
      clock: hastyClock,
    });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({
      name: 'hosts',
      provider: 'sim',
      resources: Object.keys(hosts).map((id) => ({ type: HOST, id })),
      onFailure: 'continue',
      policy: { consistency: 'group', onInconsistency: 'refuse' },
    });
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    const { state, artifacts, missing } = await acme.checkpoints.get(checkpoint);
    expect(state).toBe('partial');
    expect(artifacts.map(({ resource }) => resource.id).sort()).toEqual(['a/1', 'a/2', 'one']);
    expect(missing.map(({ resource }) => resource.id).sort()).toEqual(['a/3', 'b/1', 'two']);
  });

  it('is that of a group where the array says so of just these volumes, which is asked for once', async () => {
    const hosts = {
      one: { disks: ['a/1', 'a/2'] },
      two: { disks: ['a/3', 'a/4'] },
      three: { disks: ['a/5', 'b/1'] },
      four: { disks: ['a/6'] },
    };
    const system = new System(hosts, { pausable: false, groups: ['a/1 a/2'] });
    await using engine = await createEngine({
      store: memoryStore(),
      providers: [system.provider],
      clock: hastyClock,
    });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({
      name: 'hosts',
      provider: 'sim',
      resources: Object.keys(hosts).map((id) => ({ type: HOST, id })),
      onFailure: 'continue',
      policy: { consistency: 'crash' },
    });
    const { snapshots } = await acme.preview.protect(plan.id);
    const previewed = snapshots.map(({ consistency, volumes }) => [
      volumes.map(({ volume }) => volume.id).join(' '),
      consistency,
    ]);
    expect(Object.fromEntries(previewed)).toEqual({
      'a/1 a/2': 'group',
      'a/3 a/4': 'crash',
      'a/5': 'crash',
      'a/6': 'crash',
      'b/1': 'crash',
    });
    expect(system.logOf('isGroup')).toEqual(['isGroup a/1 a/2', 'isGroup a/3 a/4']);
    const { checkpoint } = await (await acme.protect(plan.id)).result();
    expect(system.logOf('group')).toEqual(['group a/1 a/2']);
    const { artifacts } = await acme.checkpoints.get(checkpoint);
    const achieved = artifacts.flatMap(({ resource: { id }, volume }) =>
      volume === null ? [] : [[id, volume.consistency]],
    );
    expect(Object.fromEntries(achieved)).toEqual({
      'a/1': 'group',
      'a/2': 'group',
      'a/3': 'crash',
      'a/4': 'crash',
      'a/5': 'crash',
      'a/6': 'crash',
      'b/1': 'crash',
    });
    const policy = { consistency: 'group', onInconsistency: 'refuse' } as const;
    const strict = await (await acme.protect(plan.id, { policy })).result();
    const { missing } = await acme.checkpoints.get(strict.checkpoint);
    expect(missing.map(({ resource }) => resource.id).sort()).toEqual([
      ...['a/3', 'a/4', 'a/5', 'b/1', 'three', 'two'],
    ]);
  });

  it('is degraded where that is allowed, and the checkpoint says to what', async () => {
    await using world = await openHooked(undefined);
    const { acme, plan } = world;
    const job = await acme.protect(plan, { policy: { consistency: 'application' } });
    const opened = await acme.checkpoints.get((await job.result()).checkpoint);
    expect(opened.commit.policy?.consistency).toEqual({ value: 'application', origin: 'call' });
    for (const { volume } of opened.artifacts) expect(volume?.consistency).not.toBe('application');
  });
});
