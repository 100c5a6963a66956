import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckpointId, Job, SnapshotCopy } from '../../../src/index.ts';
import { changeVolume, readVolume } from './application.ts';
import { Gate } from './taps.ts';
import { arraySnapshots, failure, openWorld, protect, VOLUMES, type World } from './world.ts';

const DATA = 'db-data';

async function copiesOf({ acme }: World, checkpoint: CheckpointId): Promise<readonly SnapshotCopy[]> {
  const { artifacts } = await acme.checkpoints.get(checkpoint);
  return artifacts.flatMap(({ volume }) => volume?.copies ?? []);
}

const kindsOf = (copies: readonly SnapshotCopy[]): string[] => [...new Set(copies.map(({ kind }) => kind))];

async function resultOf<Result>(job: Promise<Job<Result>>): Promise<Result> {
  return (await job).result();
}

describe('archiving the snapshots of a checkpoint later', () => {
  it('adds proven archives, from which it restores when the array has lost its snapshots', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const { acme, path } = world;
    const bytes = await Promise.all(VOLUMES.map((id) => readVolume(join(path, 'a'), id)));
    const checkpoint = await protect(world);
    expect(kindsOf(await copiesOf(world, checkpoint))).toEqual(['array']);
    await changeVolume(join(path, 'a'), DATA, 4096, 'changed');
    const told: string[] = [];
    world.engine.on('checkpoint.archived', ({ checkpoint: id }) => told.push(id));
    const result = await resultOf(acme.archive(checkpoint));
    expect(result).toMatchObject({ checkpoint, volumes: VOLUMES.length });
    expect(told).toEqual([checkpoint]);
    const copies = await copiesOf(world, checkpoint);
    expect(copies.filter(({ kind }) => kind === 'array')).toHaveLength(VOLUMES.length);
    const archives = copies.filter(({ kind }) => kind === 'archive');
    expect(archives.map(({ proof }) => proof)).toEqual(VOLUMES.map(() => 'read-back'));
    await rm(join(path, 'a', 'snapshots'), { recursive: true });
    await resultOf(acme.restore(checkpoint, { to: 'silver' }));
    for (const [at, id] of VOLUMES.entries()) {
      expect(await readVolume(join(path, 'b'), id)).toEqual(bytes[at]);
    }
  });

  it('lets the caller name the copy to restore from', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const { acme } = world;
    const checkpoint = await protect(world);
    const here = { to: 'silver', location: 'bank' };
    expect(await failure(() => acme.preview.restore(checkpoint, here))).toMatchObject({
      code: 'NOT_AVAILABLE',
      message: expect.stringContaining('no copy of its volume is left'),
    });
    expect(await failure(() => resultOf(acme.restore(checkpoint, here)))).toMatchObject({
      code: 'NOT_AVAILABLE',
    });
    await resultOf(acme.archive(checkpoint));
    const bank = (await copiesOf(world, checkpoint)).find(({ kind }) => kind === 'archive')?.location ?? '';
    for (const location of ['files', bank]) {
      const preview = await acme.preview.restore(checkpoint, { to: 'silver', location });
      expect(preview.location).toBe(location);
      await resultOf(acme.run(preview));
      const copies = await copiesOf(world, checkpoint);
      const restored = copies.filter(({ proof }) => proof === 'restored').map((copy) => copy.location);
      expect(restored).toContain(location);
      expect(restored).toHaveLength(VOLUMES.length * (location === bank ? 2 : 1));
    }
  });

  it('passes over what has an archive, and removes snapshots only where that is asked for', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const { acme } = world;
    const checkpoint = await protect(world);
    await resultOf(acme.archive(checkpoint));
    expect(await resultOf(acme.archive(checkpoint))).toMatchObject({ volumes: 0, bytes: 0 });
    expect(await arraySnapshots(world)).toHaveLength(VOLUMES.length);
    await resultOf(acme.archive(checkpoint, { removeSnapshots: true }));
    expect(await arraySnapshots(world)).toEqual([]);
    expect(kindsOf(await copiesOf(world, checkpoint))).toEqual(['archive']);
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('available');
    await resultOf(acme.verify(checkpoint));
  });

  it('compares with the archives of the checkpoint before', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const { acme, path } = world;
    const [first, second] = [await protect(world), await protect(world)];
    for (const id of [first, second]) await resultOf(acme.archive(id));
    await changeVolume(join(path, 'a'), DATA, 4096, 'changed');
    const third = await protect(world);
    await resultOf(acme.archive(third));
    for (const id of [first, second, third]) await resultOf(acme.verify(id));
    await resultOf(acme.remove(first));
    await resultOf(acme.collect({ provider: 'bronze' }));
    for (const id of [second, third]) await resultOf(acme.verify(id));
    await resultOf(acme.remove(second));
    await resultOf(acme.remove(third));
    await resultOf(acme.collect({ provider: 'bronze' }));
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('is refused by name where there is no snapshot, and the checkpoint says what it lost', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const { acme, path } = world;
    const checkpoint = await protect(world);
    await rm(join(path, 'a', 'snapshots'), { recursive: true });
    expect(await failure(() => resultOf(acme.archive(checkpoint)))).toMatchObject({ code: 'NO_SNAPSHOT' });
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('failed');
  });

  it('is refused for a checkpoint that was removed', async () => {
    await using world = await openWorld({ provider: 'bronze' });
    const checkpoint = await protect(world);
    await resultOf(world.acme.remove(checkpoint));
    expect(await failure(() => resultOf(world.acme.archive(checkpoint)))).toMatchObject({
      code: 'NOT_AVAILABLE',
    });
  });

  it('holds back a removal of the checkpoint, and keeps what was archived when it is cancelled', async () => {
    let isArmed = false;
    const gate = new Gate((what) => isArmed && what.startsWith('bank.put'));
    await using world = await openWorld({ provider: 'bronze', tap: gate.tap });
    const { acme } = world;
    const checkpoint = await protect(world);
    isArmed = true;
    const archiving = await acme.archive(checkpoint);
    await gate.reached;
    expect(await failure(() => resultOf(acme.remove(checkpoint, { whenBusy: 'refuse' })))).toMatchObject({
      code: 'BUSY',
    });
    await archiving.cancel();
    isArmed = false;
    expect((await acme.checkpoints.get(checkpoint)).state).toBe('available');
    await resultOf(acme.archive(checkpoint, { removeSnapshots: true }));
    await resultOf(acme.verify(checkpoint));
  });
});
