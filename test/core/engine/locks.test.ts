import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import {
  type Bank,
  type CheckpointId,
  type Clock,
  FafnirError,
  type ListedCheckpoint,
} from '../../../src/index.ts';
import { keysOf } from '../archive/volumes.ts';
import { changeVolume, readVolume, SHOP } from './application.ts';
import { Fault, type Tap } from './taps.ts';
import { all, failure, hastyClock, openWorld, protect, VOLUMES, type World } from './world.ts';

const DAY = 86_400_000;
const live = { signal: new AbortController().signal };

/** A clock that can be put forward. */
class DayClock implements Clock {
  #passed = 0;
  /** How far it is wrong. */
  wrong = 0;
  readonly now = (): number => hastyClock.now() + this.#passed + this.wrong;
  readonly monotonic = hastyClock.monotonic;
  readonly sleep = hastyClock.sleep;
  /** Puts it forward by so many days. */
  pass(days: number): void {
    this.#passed += days * DAY;
  }
}

/** A world whose checkpoints are locked for ten days, in a bank whose clock is the engine's. */
async function openLocked(tap?: Tap) {
  const clock = new DayClock();
  const right = { now: () => clock.now() - clock.wrong };
  const bank = memoryBank({ name: 'bank', locks: true, clock: right });
  const rules = { policy: { lock: { default: 10 } } };
  const world = await openWorld({ bank, rules, options: { clock }, ...(tap && { tap }) });
  return { world, bank, clock };
}

const listed = async ({ acme }: World, id: CheckpointId): Promise<ListedCheckpoint> => {
  const found = (await all(acme.checkpoints.list())).find((one) => one.id === id);
  if (found === undefined || !('artifacts' in found)) throw new Error(`no checkpoint ${id}`);
  return found;
};
const collect = async ({ acme }: World) => (await acme.collect({ provider: 'gold' })).result();
const change = async ({ path }: World, text: string): Promise<void> => {
  for (const id of VOLUMES) await changeVolume(join(path, 'a'), id, 2_000_000, `${text} of ${id}`);
};

/** Tries to remove each object of the bank by itself; resolves with the keys of those that went. */
async function removable(bank: Bank): Promise<string[]> {
  const gone: string[] = [];
  for (const key of await keysOf(bank, '')) {
    try {
      await bank.remove([key], live);
      gone.push(key);
    } catch (error) {
      expect(error).toMatchObject({ code: 'LOCKED' });
    }
  }
  return gone;
}

async function expectRestored({ acme, path }: World, id: CheckpointId): Promise<void> {
  await (await acme.restore(id, { to: 'silver' })).result();
  for (const volume of VOLUMES) {
    const [original, restored] = await Promise.all(
      ['a', 'b'].map((at) => readVolume(join(path, at), volume)),
    );
    expect(original?.equals(restored ?? Buffer.of()), `bytes of ${volume}`).toBe(true);
  }
}

describe('a locked checkpoint', () => {
  it('is restored from what nobody could remove, until its day', async () => {
    const { world, bank, clock } = await openLocked();
    await using _ = world;
    const id = await protect(world);
    const { lockedUntil = '' } = await listed(world, id);
    expect(Date.parse(lockedUntil)).toBeGreaterThan(clock.now() + 9.9 * DAY);
    expect(Date.parse(lockedUntil)).toBeLessThanOrEqual(clock.now() + 10 * DAY);
    clock.pass(9);
    // An attacker with the credentials of the bank takes all that can be taken.
    const gone = await removable(bank);
    expect(gone.filter((key) => !/\/installations\/|\/copy-removed\./.test(key))).toEqual([]);
    await expectRestored(world, id);
    clock.pass(1);
    expect((await removable(bank)).length).toBeGreaterThan(0);
    expect(await keysOf(bank, '')).toEqual([]);
  });

  it('keeps what it relies on of an earlier one locked as long as itself', async () => {
    const { world, bank, clock } = await openLocked();
    await using _ = world;
    await protect(world);
    clock.pass(6);
    await change(world, 'new bytes');
    const second = await protect(world);
    clock.pass(7);
    await removable(bank);
    await expectRestored(world, second);
  });

  it('is as safe when its archives are made after its commit', async () => {
    const { world, bank, clock } = await openLocked();
    await using _ = world;
    const policy = { archive: true };
    const plan = await world.acme.plans.create({ name: 'later', provider: 'flag', resources: SHOP, policy });
    const { checkpoint, archive } = await (await world.acme.protect(plan.id)).result();
    if (archive === undefined) throw new Error('nothing is archived later');
    await world.acme.jobs.handle(archive).result();
    clock.pass(9);
    await removable(bank);
    await expectRestored(world, checkpoint);
  });

  it('cannot be removed, and nothing is changed by trying; afterwards it can', async () => {
    const { world, bank, clock } = await openLocked();
    await using _ = world;
    const id = await protect(world);
    const before = await keysOf(bank, '');
    const { lockedUntil } = await listed(world, id);
    const refused = await failure(async () => (await world.acme.remove(id)).result());
    expect(refused).toMatchObject({ code: 'LOCKED', retryable: false });
    expect(refused.message).toContain(lockedUntil);
    expect(await failure(() => world.acme.preview.remove(id))).toMatchObject({ code: 'LOCKED' });
    expect(await keysOf(bank, '')).toEqual(before);
    expect((await listed(world, id)).state).toBe('available');
    clock.pass(10);
    expect(await (await world.acme.remove(id)).result()).toEqual({ checkpoint: id });
    const { packs, archives, locked } = await collect(world);
    expect({ archives, locked }).toEqual({ archives: 0, locked: undefined });
    expect(packs).toBeGreaterThan(0);
    expect(await keysOf(bank, 'acme/data/')).toEqual([]);
  });

  it('stays whatever retention says, which tells why', async () => {
    const { world, clock } = await openLocked();
    await using _ = world;
    const first = await protect(world);
    await change(world, 'new bytes');
    clock.pass(1);
    const second = await protect(world);
    const policy = { archive: { last: 1, spacing: 0 } };
    const { decisions } = await world.acme.preview.retain(world.plan.id, { policy });
    expect(decisions.find(({ checkpoint }) => checkpoint === first)).toEqual({
      checkpoint: first,
      action: 'keep',
      kept: { archive: ['locked'] },
      removed: [],
    });
    const retain = async () => (await world.acme.retain(world.plan.id, { policy })).result();
    expect(await retain()).toMatchObject({ removed: [], reduced: [] });
    clock.pass(9);
    expect(await retain()).toMatchObject({ removed: [first], reduced: [] });
    await collect(world);
    await expectRestored(world, second);
  });

  it('is not in the way of a collection, which says what stays and takes it later', async () => {
    const { world, bank, clock } = await openLocked();
    await using _ = world;
    const first = await protect(world);
    await change(world, 'new bytes');
    clock.pass(1);
    const second = await protect(world);
    // An engine whose clock is ahead gives the first one up; the bank keeps what it has.
    clock.wrong = 9 * DAY;
    const { leftovers } = await (await world.acme.remove(first)).result();
    expect(leftovers?.map(({ error }) => error.code)).toEqual(VOLUMES.map(() => 'LOCKED'));
    clock.wrong = 0;
    const before = await keysOf(bank, 'acme/data/');
    const kept = await collect(world);
    expect(kept).toMatchObject({ packs: 0, bytes: 0 });
    expect(kept.locked?.objects).toBeGreaterThan(0);
    expect(kept.locked?.bytes).toBeGreaterThan(0);
    expect(await keysOf(bank, 'acme/data/')).toEqual(before);
    expect(await collect(world)).toEqual(kept);
    // The second relies on what the first has, and so has locked it for as long as itself.
    clock.pass(10);
    const taken = await collect(world);
    expect(taken.locked).toBeUndefined();
    expect(taken.packs).toBeGreaterThan(0);
    await expectRestored(world, second);
  });
});

describe('a protect that locks', () => {
  it.each([
    ['when an archive is told', 'bank.put acme/manifests/'],
    ['at its commit', 'bank.put acme/commits/'],
  ])('and fails %s leaves what is collected when its lock has ended', async (_when, call) => {
    const error = () => new FafnirError('ACCESS_DENIED', 'injected fault');
    const fault = new Fault({ matches: (what) => what.startsWith(call), lasting: true, error });
    const { world, bank, clock } = await openLocked(fault.tap);
    await using _ = world;
    expect(await failure(() => protect(world))).toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringMatching(/; what it has written by now is locked in bank bank until \d{4}-/),
    });
    expect(await all(world.acme.checkpoints.list())).toEqual([]);
    expect((await keysOf(bank, 'acme/data/')).length).toBeGreaterThan(0);
    expect((await collect(world)).locked?.objects).toBeGreaterThan(0);
    clock.pass(10);
    expect((await collect(world)).locked).toBeUndefined();
    expect(await keysOf(bank, 'acme/data/')).toEqual([]);
    expect(await keysOf(bank, 'acme/manifests/')).toEqual([]);
    expect(await keysOf(bank, 'acme/index/')).toEqual([]);
  });

  it('says so where its bank has none, before anything is there', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank });
    const refused = { code: 'UNSUPPORTED', message: 'the plan asks for lock 7, but bank bank has no locks' };
    const plan = { name: 'locked', provider: 'gold', resources: SHOP, policy: { lock: 7 } };
    expect(await failure(() => world.acme.plans.create(plan))).toMatchObject(refused);
    const called = { ...refused, message: refused.message.replace('plan', 'call') };
    const { id } = world.plan;
    expect(await failure(() => world.acme.protect(id, { policy: { lock: 7 } }))).toMatchObject(called);
    expect(await failure(() => world.acme.preview.protect(id, { policy: { lock: 7 } }))).toMatchObject(
      called,
    );
    expect(await keysOf(bank, '')).toEqual([]);
    await protect(world);
    const rules = { policy: { lock: { default: 7 } } };
    expect(await failure(() => openWorld({ bank: memoryBank({ name: 'bank' }), rules }))).toMatchObject({
      ...refused,
      message: refused.message.replace('plan', 'provider'),
    });
  });

  it('is bounded by the rules of its provider', async () => {
    const clock = new DayClock();
    const bank = memoryBank({ name: 'bank', locks: true, clock });
    const policy = { lock: { default: 7, allowed: { least: 7, most: 30 } } };
    await using world = await openWorld({ bank, rules: { policy }, options: { clock } });
    expect(await failure(() => world.acme.protect(world.plan.id, { policy: { lock: 0 } }))).toMatchObject({
      code: 'REFUSED_BY_POLICY',
      message: 'the call asks for lock 0, but the provider allows only 7 to 30',
    });
    const preview = await world.acme.preview.protect(world.plan.id, { policy: { lock: 14 } });
    expect(preview.policy.lock).toEqual({ value: 14, origin: 'call' });
    const { checkpoint } = await (await world.acme.run(preview)).result();
    const { lockedUntil = '', policy: committed } = await listed(world, checkpoint);
    expect(Date.parse(lockedUntil)).toBeGreaterThan(clock.now() + 13 * DAY);
    expect(committed?.lock).toEqual({ value: 14, origin: 'call' });
  });
});
