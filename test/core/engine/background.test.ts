import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type {
  CheckpointId,
  EventOf,
  OpenCheckpoint,
  ProtectResult,
  SnapshotPolicyWish,
} from '../../../src/index.ts';
import { changeVolume } from './application.ts';
import { Gate } from './taps.ts';
import { arraySnapshots, failure, openWorld, VOLUMES, type World } from './world.ts';

const DATA = 'db-data';

/** Makes a checkpoint, and waits until what it began in the background has ended. */
async function protect({ acme, plan }: World, policy: SnapshotPolicyWish): Promise<CheckpointId> {
  const { checkpoint, archive } = await (await acme.protect(plan.id, { policy })).result();
  if (archive !== undefined) await acme.jobs.handle(archive).result();
  return checkpoint;
}

const shapeOf = ({ artifacts }: OpenCheckpoint): string[] =>
  artifacts.flatMap(({ volume }) => volume?.copies.map(({ kind, proof }) => `${kind} ${proof}`) ?? []);

async function kindsOf({ acme }: World, id: CheckpointId): Promise<string[]> {
  return [...new Set(shapeOf(await acme.checkpoints.get(id)).map((shape) => shape.split(' ')[0] ?? ''))];
}

describe('the archive flag', () => {
  it('leaves the snapshot on the array where no archive is asked for', async () => {
    await using world = await openWorld({ provider: 'flag' });
    const preview = await world.acme.preview.protect(world.plan.id);
    expect(preview.snapshots[0]?.volumes[0]).toMatchObject({
      strategy: { name: 'storage-array-snapshot' },
      copies: ['array'],
      background: [],
      keep: 'all',
    });
    const checkpoint = await protect(world, {});
    expect(await kindsOf(world, checkpoint)).toEqual(['array']);
    expect(await arraySnapshots(world)).toHaveLength(VOLUMES.length);
  });

  it('takes the snapshot at once, and archives in the background as a job of its own', async () => {
    const gate = new Gate((what) => what.includes('/data/'));
    await using world = await openWorld({ provider: 'flag', tap: gate.tap });
    const { acme, plan } = world;
    const preview = await acme.preview.protect(plan.id, { policy: { archive: true } });
    expect(preview.policy.archive).toEqual({ value: true, origin: 'call' });
    const job = await acme.run(preview);
    const { checkpoint, archive, state } = (await job.result()) as ProtectResult;
    // No pack has reached the bank, and the checkpoint counts all the same.
    expect(state).toBe('available');
    expect(await kindsOf(world, checkpoint)).toEqual(['array']);
    await gate.reached;
    gate.open();
    expect(archive).toBeDefined();
    if (archive !== undefined) {
      expect((await acme.jobs.get(archive))?.parent).toBeUndefined();
      await acme.jobs.handle(archive).result();
    }
    const opened = await acme.checkpoints.get(checkpoint);
    expect(shapeOf(opened)).toContain('archive read-back');
    expect(opened.commit.policy?.archive).toEqual({ value: true, origin: 'call' });
    expect(opened.artifacts.flatMap(({ volume }) => volume?.strategy.name ?? [])).toEqual(
      VOLUMES.map(() => 'archive-flag'),
    );
    await (await acme.verify(checkpoint)).result();
  });

  it.each([
    [0, [1, 0, 0, 0]],
    [2, [1, 1, 0, 0]],
    ['all', [1, 1, 1, 1]],
  ] as const)('keeps %s on the array, and the newest where changes are asked of it', async (keep, wanted) => {
    await using world = await openWorld({ provider: 'flag' });
    const tracks = (await world.acme.preview.protect(world.plan.id, { policy: { archive: true, keep } }))
      .snapshots[0]?.volumes[0]?.arrayCopy;
    const made: CheckpointId[] = [];
    for (let run = 0; run < wanted.length; run += 1) {
      made.unshift(await protect(world, { archive: true, keep }));
      await changeVolume(join(world.path, 'a'), DATA, 4096 * run, 'changed');
    }
    const left = await Promise.all(made.map(async (id) => (await kindsOf(world, id)).includes('array')));
    const none = keep === 0 && tracks === 'removed';
    expect(left.map(Number)).toEqual(none ? [0, 0, 0, 0] : wanted);
    const count = left.filter(Boolean).length * VOLUMES.length;
    expect(await arraySnapshots(world)).toHaveLength(count);
    for (const id of made) await (await world.acme.verify(id)).result();
  });

  it('removes what is due also behind a checkpoint that keeps its own for good', async () => {
    await using world = await openWorld({ provider: 'flag' });
    const made: CheckpointId[] = [];
    for (const keep of [1, 'all', 1] as const) made.push(await protect(world, { archive: true, keep }));
    const kinds = await Promise.all(made.map((id) => kindsOf(world, id)));
    expect(kinds.map((of) => of.includes('array'))).toEqual([false, true, true]);
    expect(await arraySnapshots(world)).toHaveLength(2 * VOLUMES.length);
  });

  it('says so where the array loses the snapshot before it is archived', async () => {
    const gate = new Gate((what) => what === 'array.open');
    await using world = await openWorld({ provider: 'flag', tap: gate.tap });
    const { acme, plan } = world;
    const job = await acme.protect(plan.id, { policy: { archive: true } });
    const { checkpoint, archive } = await job.result();
    await gate.reached;
    await rm(join(world.path, 'a', 'snapshots'), { recursive: true });
    gate.open();
    expect(await failure(() => archive && acme.jobs.handle(archive).result())).toMatchObject({
      code: 'NO_SNAPSHOT',
    });
    const { state, lost } = await acme.checkpoints.get(checkpoint);
    expect(state).not.toBe('available');
    expect(lost.map(({ copy }) => copy.kind)).toContain('array');
  });
});

describe('a default that was changed', () => {
  it('is announced by an event and in the next preview, until a checkpoint was made with it', async () => {
    let archive = false;
    await using world = await openWorld({
      provider: 'flag',
      rules: { tenantPolicy: () => ({ archive: { default: archive } }) },
    });
    const { acme, engine, plan } = world;
    const told: EventOf<'policy.changed'>[] = [];
    engine.on('policy.changed', (event) => told.push(event));
    await protect(world, {});
    expect((await acme.preview.protect(plan.id)).changedDefaults).toEqual([]);
    archive = true;
    const change = { field: 'archive', from: false, to: true, origin: 'tenant' };
    expect((await acme.preview.protect(plan.id)).changedDefaults).toEqual([change]);
    const second = await protect(world, {});
    expect(await kindsOf(world, second)).toContain('archive');
    expect(told).toEqual([{ type: 'policy.changed', plan: plan.id, tenant: 'acme', changes: [change] }]);
    await protect(world, {});
    expect(told).toHaveLength(1);
  });
});

describe('checkpoints of other times', () => {
  it('are restored, archived and removed whatever the policy has become', async () => {
    let archive = false;
    await using world = await openWorld({
      provider: 'flag',
      rules: { tenantPolicy: () => ({ archive: { default: archive, allowed: [archive] } }) },
    });
    const { acme } = world;
    const older = await protect(world, {});
    archive = true;
    const newer = await protect(world, {});
    await (await acme.restore(older, { to: 'silver' })).result();
    await (await acme.archive(older, { removeSnapshots: true })).result();
    await (await acme.verify(older)).result();
    archive = false;
    for (const id of [older, newer]) await (await acme.remove(id)).result();
    await (await acme.collect({ provider: 'flag' })).result();
    expect(await arraySnapshots(world)).toEqual([]);
  });
});
