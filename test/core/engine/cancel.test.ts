import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Engine, Job, JobId } from '../../../src/index.ts';
import { createEngine } from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { Gate, Recorder, type Tap } from './taps.ts';
import {
  all,
  arraySnapshots,
  availableOf,
  everything,
  failure,
  filesBelow,
  hastyClock,
  openWorld,
  protect,
  providersIn,
  type World,
} from './world.ts';

const inArchive = (): Gate => new Gate((what) => what.startsWith('bank.put acme/data/'));
const inFill = (): Gate => new Gate((what) => what === 'array.openForWrite');

async function cancelled(world: World, job: Job<unknown>): Promise<void> {
  expect((await failure(() => job.result())).code).toBe('CANCELLED');
  const record = await world.acme.jobs.get(job.id);
  expect(record).toMatchObject({ state: 'cancelled', outcome: { error: { code: 'CANCELLED' } } });
}

describe('a job', () => {
  it('cancelled before a worker takes it does nothing', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const file = join(path, 'fafnir.db');
    const open = (worker: boolean, tap?: Tap): Promise<Engine> =>
      createEngine({
        store: sqliteStore(file),
        providers: Object.values(providersIn(path, tap)),
        worker,
        clock: hastyClock,
      });
    let id: JobId;
    let ended: Promise<boolean>;
    const recorder = new Recorder();
    {
      await using asking = await open(false);
      const acme = asking.for({ tenant: 'acme', actor: 'test' });
      const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
      const job = await acme.protect(plan.id);
      ({ id } = job);
      ended = job.cancel();
      while ((await acme.jobs.get(id))?.cancelRequested !== true) await hastyClock.sleep(5, forever());
      await using working = await open(true, recorder.tap);
      const there = working.for({ tenant: 'acme', actor: 'test' });
      expect((await failure(() => there.jobs.handle(id).result())).code).toBe('CANCELLED');
      expect(await ended).toBe(true);
      expect(await there.jobs.get(id)).toMatchObject({ state: 'cancelled' });
    }
    expect(recorder.calls).toEqual([]);
    expect(await filesBelow(join(path, 'bank'))).toEqual({});
  });

  it('cancelled in an archive ends at once and leaves no snapshot and no checkpoint', async () => {
    const gate = inArchive();
    await using world = await openWorld({ tap: gate.tap });
    const before = await everything(world);
    const job = await world.acme.protect(world.plan.id);
    await gate.reached;
    await expect.poll(() => arraySnapshots(world)).toHaveLength(3);
    expect(await job.cancel()).toBe(true);
    await cancelled(world, job);
    expect(await arraySnapshots(world)).toEqual([]);
    expect(await availableOf(world)).toEqual([]);
    expect(await everything(world)).toMatchObject({ a: before.a });
  });

  it('cancelled in the filling of a volume leaves nothing at the destination', async () => {
    const gate = inFill();
    await using world = await openWorld({ tap: gate.tap });
    const checkpoint = await protect(world);
    const before = await everything(world);
    const job = await world.acme.restore(checkpoint, { to: 'silver' });
    await gate.reached;
    expect(Object.keys(await filesBelow(join(world.path, 'b')))).not.toEqual([]);
    expect(await job.cancel()).toBe(true);
    await cancelled(world, job);
    expect(await everything(world)).toEqual(before);
  });

  it('cancelled while it verifies leaves the checkpoint as it was', async () => {
    let gate = new Gate(() => false);
    await using world = await openWorld({ tap: (what, run, signal) => gate.tap(what, run, signal) });
    const checkpoint = await protect(world);
    const before = await everything(world);
    gate = new Gate((what) => what.startsWith('bank.get acme/data/'));
    const job = await world.acme.verify(checkpoint);
    await gate.reached;
    expect(await job.cancel()).toBe(true);
    await cancelled(world, job);
    expect(await everything(world)).toEqual(before);
    expect((await world.acme.checkpoints.get(checkpoint)).state).toBe('available');
  });

  it('cancelled after its end is left as it is', async () => {
    await using world = await openWorld();
    const job = await world.acme.protect(world.plan.id);
    const result = await job.result();
    const before = await everything(world);
    expect(await job.cancel()).toBe(false);
    expect(await job.result()).toEqual(result);
    expect(await everything(world)).toEqual(before);
  });

  it('cancelled after its commit stands, for it can no longer be undone', async () => {
    const gate = new Gate((what) => what === 'array.remove');
    await using world = await openWorld({ tap: gate.tap });
    const job = await world.acme.protect(world.plan.id);
    await gate.reached;
    const asked = job.cancel();
    gate.open();
    await asked;
    const { checkpoint } = await job.result();
    expect(await world.acme.jobs.get(job.id)).toMatchObject({ state: 'succeeded' });
    expect((await world.acme.checkpoints.get(checkpoint)).state).toBe('available');
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('cancelled twice, also by another handle, ends once', async () => {
    const gate = inArchive();
    await using world = await openWorld({ tap: gate.tap });
    const job = await world.acme.protect(world.plan.id);
    await gate.reached;
    const other = world.acme.jobs.handle(job.id);
    expect(await Promise.all([job.cancel(), other.cancel()])).toContain(true);
    await cancelled(world, job);
  });
});

describe('a signal', () => {
  it('that is aborted cancels the job that it was given to', async () => {
    const gate = inArchive();
    await using world = await openWorld({ tap: gate.tap });
    const controller = new AbortController();
    const job = await world.acme.protect(world.plan.id, { signal: controller.signal });
    await gate.reached;
    controller.abort();
    await cancelled(world, job);
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('that is aborted already starts no job', async () => {
    await using world = await openWorld();
    const reason = new Error('no longer wanted');
    const signal = AbortSignal.abort(reason);
    await expect(world.acme.protect(world.plan.id, { signal })).rejects.toBe(reason);
    expect(await all(world.acme.jobs.list())).toEqual([]);
  });

  it('given to result() ends the waiting, not the job', async () => {
    const gate = inArchive();
    await using world = await openWorld({ tap: gate.tap });
    const job = await world.acme.protect(world.plan.id);
    await gate.reached;
    const controller = new AbortController();
    const waiting = job.result({ signal: controller.signal }).then(
      () => 'a result',
      () => 'a rejection',
    );
    controller.abort(new Error('enough'));
    gate.open();
    expect(await job.result()).toHaveProperty('checkpoint');
    expect(await waiting).toBe('a rejection');
  });
});

describe('an engine', () => {
  it('closed without draining puts its job down, and the next one finishes it', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const gate = inArchive();
    const recorder = new Recorder();
    const open = (tap: Tap): Promise<Engine> =>
      createEngine({
        store: sqliteStore(join(path, 'fafnir.db')),
        providers: Object.values(providersIn(path, tap)),
        clock: hastyClock,
      });
    const first = await open((what, run, signal) =>
      recorder.tap(what, () => gate.tap(what, run, signal), signal),
    );
    const acme = first.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const job = await acme.protect(plan.id);
    const waiting = failure(() => job.result());
    await gate.reached;
    // An archive may begin while the snapshots of others are taken.
    await expect.poll(() => arraySnapshots(directory)).toHaveLength(3);
    const taken = await arraySnapshots(directory);
    await first.close();
    expect((await waiting).code).toBe('CLOSED');
    expect((await failure(() => acme.protect(plan.id))).code).toBe('CLOSED');
    expect(await arraySnapshots(directory)).toEqual(taken);

    await using second = await open(recorder.tap);
    const there = second.for({ tenant: 'acme', actor: 'test' });
    const { checkpoint } = await there.jobs.handle<{ checkpoint: typeof job.id }>(job.id).result();
    const opened = await there.checkpoints.get(checkpoint as never);
    expect(opened.state).toBe('available');
    expect(
      opened.artifacts.flatMap(({ volume }) => volume?.copies.map(({ takenAt }) => takenAt) ?? []),
    ).toEqual(expect.arrayContaining(taken.map(({ takenAt }) => takenAt)));
    const groups = new Set(taken.map(({ name }) => name)).size;
    expect(recorder.calls.filter((what) => what === 'array.snapshot')).toHaveLength(groups);
    expect((await there.jobs.get(job.id))?.epoch).toBe(2);
    expect(await arraySnapshots(directory)).toEqual([]);
  });

  it('closed with draining lets its jobs end first', async () => {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await writeShop(join(path, 'a'));
    const gate = inArchive();
    const open = (tap?: Tap): Promise<Engine> =>
      createEngine({
        store: sqliteStore(join(path, 'fafnir.db')),
        providers: Object.values(providersIn(path, tap)),
        clock: hastyClock,
      });
    const first = await open(gate.tap);
    const acme = first.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const job = await acme.protect(plan.id);
    await gate.reached;
    let closed = false;
    const closing = first.close({ drain: true }).then(() => {
      closed = true;
    });
    expect(await acme.jobs.get(job.id)).toMatchObject({ state: 'running' });
    expect(closed).toBe(false);
    gate.open();
    await closing;
    await using second = await open();
    const there = second.for({ tenant: 'acme', actor: 'test' });
    expect(await there.jobs.get(job.id)).toMatchObject({ state: 'succeeded', epoch: 1 });
    expect(await arraySnapshots(directory)).toEqual([]);
  });

  it('closed twice is closed', async () => {
    const world = await openWorld();
    await world.engine.close();
    await world[Symbol.asyncDispose]();
    expect((await failure(() => world.acme.plans.get(world.plan.id))).code).toBe('CLOSED');
  });
});

const forever = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });
