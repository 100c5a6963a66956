import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { CheckpointId, Job, Session } from '../../../src/index.ts';
import { createEngine, defineProvider, FafnirError } from '../../../src/index.ts';
import { local } from '../../../src/providers/local.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { direct, Fault, type FaultTime, Recorder, type Tap, tappedPart } from './taps.ts';
import { arraySnapshots, availableOf, failure, filesBelow, openWorld, protect, type World } from './world.ts';
import { KEYS } from '../archive/vaults.ts';

/** The kind of a call: what is called, without tenants and ids. */
const kindOf = (what: string): string => what.replace(/(bank\.\w+) [^/]+\/(\w+).*/, '$1 $2');

/** A tap that can be exchanged between jobs. */
class Exchange {
  current: Tap = direct;
  readonly tap: Tap = (what, run, signal) => this.current(what, run, signal);
}

type Ending = {
  readonly state: 'succeeded' | 'failed';
  readonly result?: object;
  readonly error?: FafnirError;
};

async function ending(start: Promise<Job<object>>): Promise<Ending> {
  try {
    return { state: 'succeeded', result: await (await start).result() };
  } catch (error) {
    if (!FafnirError.is(error)) throw error;
    return { state: 'failed', error };
  }
}

/** Runs a job in peace, then once for each kind of call that it made, with a fault at the first such call. */
async function faultAtEachKind(
  exchange: Exchange,
  time: FaultTime,
  start: () => Promise<Job<object>>,
  check: (ending: Ending, call: string) => Promise<void>,
  error?: () => unknown,
): Promise<number> {
  // What arrays say of themselves is asked for limits once, and would be missed in later runs.
  await check(await ending(start()), 'the first time');
  const recorder = new Recorder();
  exchange.current = recorder.tap;
  const peaceful = await ending(start());
  exchange.current = direct;
  await check(peaceful, 'no call');
  const kinds = new Set(recorder.calls.map(kindOf));
  for (const kind of kinds) {
    const matches = (what: string): boolean => kindOf(what) === kind;
    const fault = new Fault({ matches, time, ...(error && { error }) });
    exchange.current = fault.tap;
    const ended = await ending(start());
    exchange.current = direct;
    expect(fault.struck, kind).toBe(true);
    await check(ended, `${time} ${kind}`);
  }
  return kinds.size;
}

const TIMES: FaultTime[] = ['before', 'after'];
const unavailable = (): FafnirError => new FafnirError('UNAVAILABLE', 'injected fault');

describe('a fault in protecting', () => {
  // One server with one volume, because there are many attempts.
  const WEB = { type: 'Local::Server', id: 'web' };

  /** Each attempt is of another tenant, so that none finds in the bank what an earlier one left. */
  async function attempts(
    exchange: Exchange,
  ): Promise<World & { next(): Promise<Job<object>>; last(): Session }> {
    const world = await openWorld({ tap: exchange.tap, bank: memoryBank({ name: 'bank' }) });
    let count = 0;
    let session = world.acme;
    return {
      ...world,
      last: () => session,
      async next() {
        count += 1;
        session = world.engine.for({ tenant: `tenant-${count}`, actor: 'test' });
        const plan = await session.plans.create({ name: 'web', provider: 'gold', resources: [WEB] });
        return session.protect(plan.id);
      },
    };
  }

  it.each(TIMES)('%s the effect of any call leaves no snapshot and no checkpoint', async (time) => {
    const exchange = new Exchange();
    await using world = await attempts(exchange);
    const before = await filesBelow(join(world.path, 'a'));
    const wrong: string[] = [];
    const kinds = await faultAtEachKind(exchange, time, world.next, async ({ state, result }, call) => {
      const available = await availableOf({ acme: world.last() });
      const snapshots = await arraySnapshots(world);
      if (state === 'failed' && available.length > 0) wrong.push(`${call}: failed, but available`);
      if (state === 'failed' && snapshots.length > 0) wrong.push(`${call}: failed, but snapshots are left`);
      if (state === 'succeeded' && available.length !== 1) wrong.push(`${call}: succeeded, not available`);
      if (state === 'succeeded' && snapshots.length > 0 && !('leftovers' in (result ?? {}))) {
        wrong.push(`${call}: succeeded, snapshots are left and not named`);
      }
      await rm(join(world.path, 'a', 'snapshots'), { recursive: true, force: true });
    });
    expect(wrong).toEqual([]);
    expect(kinds).toBeGreaterThan(15);
    expect(await filesBelow(join(world.path, 'a'))).toEqual(before);
  });

  it('that may pass by itself is tried again, whichever call it hits', async () => {
    const exchange = new Exchange();
    await using world = await attempts(exchange);
    const failed: string[] = [];
    const check = async ({ state }: Ending, call: string): Promise<void> => {
      if (state === 'failed') failed.push(call);
    };
    await faultAtEachKind(exchange, 'before', world.next, check, unavailable);
    expect(failed).toEqual([]);
  });

  it('and in undoing it is told, with the first fault first', async () => {
    const exchange = new Exchange();
    await using world = await openWorld({ tap: exchange.tap, bank: memoryBank({ name: 'bank' }) });
    const capture = new Fault({
      matches: (what) => what === 'capture Local::Volume',
      lasting: true,
      error: () => new FafnirError('ACCESS_DENIED', 'first fault'),
    });
    const remove = new Fault({
      matches: (what) => what === 'array.remove',
      lasting: true,
      error: () => new FafnirError('NO_SPACE', 'second fault', { retryable: false }),
    });
    exchange.current = (what, run, signal) => capture.tap(what, () => remove.tap(what, run, signal), signal);
    const { error } = await ending(world.acme.protect(world.plan.id));
    expect(error?.code).toBe('ACCESS_DENIED');
    expect(error?.message).toMatch(/first fault; undoing it failed: .*second fault/);
    expect(await availableOf(world)).toEqual([]);
  });

  it('leaves no snapshot on an array whose name has a slash', async () => {
    await using directory = await temporaryDirectory();
    const root = join(directory.path, 'a');
    await writeShop(root);
    const fault = new Fault({ matches: (what) => what === 'capture Local::Volume' });
    const provider = defineProvider({
      name: 'gold',
      site: 'a',
      parts: [tappedPart(local({ root, array: 'rack/1' }), fault.tap)],
      banks: [{ bank: memoryBank({ name: 'bank' }), keys: KEYS, role: 'primary' }],
    });
    await using engine = await createEngine({ store: memoryStore(), providers: [provider] });
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    const { error } = await ending(acme.protect(plan.id));
    expect(error?.message).not.toMatch(/undoing/);
    expect(await arraySnapshots(directory)).toEqual([]);
  });
});

describe('a removal that fails after the success', () => {
  it.each(TIMES)('%s its effect is named in the result, and the checkpoint is good', async (time) => {
    const fault = new Fault({ matches: (what) => what === 'array.remove', time, lasting: true });
    await using world = await openWorld({ tap: fault.tap });
    const job = await world.acme.protect(world.plan.id);
    const result = await job.result();
    expect(result).toMatchObject({
      leftovers: [{ what: expect.stringMatching(/^remove the array copy of volume .* in files$/) }, {}, {}],
    });
    const record = await world.acme.jobs.get(job.id);
    expect(record).toMatchObject({ state: 'succeeded', outcome: { result } });
    expect((await world.acme.checkpoints.get(result.checkpoint)).state).toBe('available');
    expect(await (await world.acme.verify(result.checkpoint)).result()).toMatchObject({
      bytes: result.bytes,
    });
    expect(await arraySnapshots(world)).toHaveLength(time === 'before' ? 3 : 0);
  });

  it('for a moment is tried again', async () => {
    const fault = new Fault({ matches: (what) => what === 'array.remove', error: unavailable });
    await using world = await openWorld({ tap: fault.tap });
    const result = await (await world.acme.protect(world.plan.id)).result();
    expect(result).not.toHaveProperty('leftovers');
    expect(await arraySnapshots(world)).toEqual([]);
  });

  it('of a checkpoint that is given up is named, and the checkpoint is removed all the same', async () => {
    const exchange = new Exchange();
    await using world = await openWorld({ tap: exchange.tap, provider: 'bronze' });
    const checkpoint = await protect(world);
    exchange.current = new Fault({ matches: (what) => what === 'array.remove' }).tap;
    const result = await (await world.acme.remove(checkpoint)).result();
    expect(result).toMatchObject({ leftovers: [{ error: { message: expect.stringMatching(/injected/) } }] });
    expect((await world.acme.checkpoints.get(checkpoint)).state).toBe('removed');
    expect(await arraySnapshots(world)).toHaveLength(1);
  });

  it('of a checkpoint that is given up is made good by giving it up again', async () => {
    const exchange = new Exchange();
    await using world = await openWorld({ tap: exchange.tap, provider: 'bronze' });
    const checkpoint = await protect(world);
    exchange.current = new Fault({ matches: (what) => what === 'array.remove' }).tap;
    await (await world.acme.remove(checkpoint)).result();
    await (await world.acme.remove(checkpoint)).result();
    expect(await arraySnapshots(world)).toEqual([]);
  });
});

describe('a fault in restoring', () => {
  async function prepared(exchange: Exchange): Promise<{ world: World; checkpoint: CheckpointId }> {
    const world = await openWorld({ tap: exchange.tap, bank: memoryBank({ name: 'bank' }) });
    // An application of one server with one volume, because there are many attempts.
    const small = { name: 'small', servers: ['web'] };
    await writeFile(join(world.path, 'a', 'applications', 'small.json'), JSON.stringify(small));
    const resources = [{ type: 'Local::Application', id: 'small' }];
    const plan = await world.acme.plans.create({ name: 'small', provider: 'gold', resources });
    return { world, checkpoint: await protect({ acme: world.acme, plan }) };
  }

  it.each(TIMES)('%s the effect of any call leaves nothing at the destination', async (time) => {
    const exchange = new Exchange();
    const { world, checkpoint } = await prepared(exchange);
    await using _ = world;
    const wrong: string[] = [];
    const calls = await faultAtEachKind(
      exchange,
      time,
      () => world.acme.restore(checkpoint, { to: 'silver' }),
      async ({ state }, call) => {
        const there = Object.keys(await filesBelow(join(world.path, 'b')));
        if (state === 'failed' && there.length > 0) wrong.push(`${call}: failed, ${there.length} files left`);
        if (state === 'succeeded' && there.length === 0) wrong.push(`${call}: succeeded with nothing`);
        await rm(join(world.path, 'b'), { recursive: true, force: true });
      },
    );
    expect(wrong).toEqual([]);
    expect(calls).toBeGreaterThan(10);
  });

  it('leaves what was there before as it was', async () => {
    const fault = new Fault({ matches: (what) => what === 'connect Local::Application', time: 'after' });
    await using world = await openWorld({ tap: fault.tap });
    const checkpoint = await protect(world);
    await mkdir(join(world.path, 'b'));
    await writeShop(join(world.path, 'b'));
    const before = await filesBelow(join(world.path, 'b'));
    await failure(async () => (await world.acme.restore(checkpoint, { to: 'silver' })).result());
    expect(await filesBelow(join(world.path, 'b'))).toEqual(before);
    await (await world.acme.restore(checkpoint, { to: 'silver' })).result();
    expect(await filesBelow(join(world.path, 'b'))).toMatchObject(before);
  });

  it('that may pass by itself is tried again, whichever call it hits', async () => {
    const exchange = new Exchange();
    const { world, checkpoint } = await prepared(exchange);
    await using _ = world;
    const failed: string[] = [];
    await faultAtEachKind(
      exchange,
      'before',
      () => world.acme.restore(checkpoint, { to: 'silver' }),
      async ({ state }, call) => {
        if (state === 'failed') failed.push(call);
        await rm(join(world.path, 'b'), { recursive: true, force: true });
      },
      unavailable,
    );
    expect(failed).toEqual([]);
  });

  it('and in undoing one creation leaves nothing of the others, and reconciling removes that one later', async () => {
    const exchange = new Exchange();
    const { world, checkpoint } = await prepared(exchange);
    await using _ = world;
    const connect = new Fault({ matches: (what) => what === 'connect Local::Application' });
    const remove = new Fault({
      matches: (what) => what === 'remove Local::Server',
      lasting: true,
      error: () => new FafnirError('BUSY', 'somebody uses it', { retryable: false }),
    });
    exchange.current = (what, run, signal) => connect.tap(what, () => remove.tap(what, run, signal), signal);
    const { error } = await ending(world.acme.restore(checkpoint, { to: 'silver' }));
    expect(error?.message).toMatch(
      /injected fault; undoing it failed: remove what create\/Local::Server\/web made: somebody uses it$/,
    );
    const records = async () =>
      Object.keys(await filesBelow(join(world.path, 'b'))).filter((path) => path.endsWith('.json'));
    expect(await records()).toEqual([expect.stringMatching(/^servers\//)]);
    exchange.current = direct;
    await world.acme.reconcile();
    expect(await records()).toEqual([]);
  });
});
