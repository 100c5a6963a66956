import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Fault, Gate } from './taps.ts';
import { all, failure, filesBelow, openWorld, protect } from './world.ts';

const lasting = (matches: (what: string) => boolean): Fault => new Fault({ matches, lasting: true });

describe('a restore that fails', () => {
  it('tells of nothing that it has removed again', async () => {
    const fault = lasting((what) => what === 'connect Local::Application');
    await using world = await openWorld({ tap: fault.tap });
    const job = await world.acme.restore(await protect(world), { to: 'silver' });
    const error = await failure(() => job.result());
    expect(error.message).not.toMatch(/kept/);
    expect(await filesBelow(join(world.path, 'b'))).toEqual({});
    expect(await all(world.acme.jobs.standIns(job.id))).toEqual([]);
  });

  it('keeps what it has made where it is told to, names it, and a reconcile leaves that alone', async () => {
    const fault = lasting((what) => what === 'connect Local::Application');
    await using world = await openWorld({ tap: fault.tap });
    const checkpoint = await protect(world);
    const job = await world.acme.restore(checkpoint, { to: 'silver', onFailure: 'keep' });
    const error = await failure(() => job.result());
    expect(error.message).toMatch(/injected fault; kept as far as it was made: Local::.+ and 3 more/);
    const kept = await all(world.acme.jobs.standIns(job.id));
    expect(kept).toHaveLength(8);
    const files = await filesBelow(join(world.path, 'b'));
    expect(Object.keys(files).filter((name) => name.endsWith('.json'))).toHaveLength(8);
    await world.engine.reconcile();
    expect(await filesBelow(join(world.path, 'b'))).toEqual(files);
  });

  it('keeps nothing of what it may or may not have made', async () => {
    const fault = new Fault({
      matches: (what) => what === 'create Local::Application',
      time: 'after',
      lasting: true,
    });
    await using world = await openWorld({ tap: fault.tap });
    const checkpoint = await protect(world);
    const job = await world.acme.restore(checkpoint, { to: 'silver', onFailure: 'keep' });
    await failure(() => job.result());
    expect(await all(world.acme.jobs.standIns(job.id))).toHaveLength(7);
    expect(await filesBelow(join(world.path, 'b', 'applications'))).toEqual({});
  });

  it('is undone where it was cancelled, whatever it was told to keep', async () => {
    const gate = new Gate((what) => what === 'connect Local::Application');
    await using world = await openWorld({ tap: gate.tap });
    const checkpoint = await protect(world);
    const job = await world.acme.restore(checkpoint, { to: 'silver', onFailure: 'keep' });
    await gate.reached;
    await job.cancel();
    expect((await failure(() => job.result())).code).toBe('CANCELLED');
    expect(await filesBelow(join(world.path, 'b'))).toEqual({});
  });
});
