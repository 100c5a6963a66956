import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { Bank, CheckpointId, Clock, RetentionPolicy } from '../../../src/index.ts';
import { changeVolume } from './application.ts';
import { all, failure, hastyClock, openWorld, protect, VOLUMES, type World } from './world.ts';

const DAY = 24 * 3_600_000;

/** A world whose clock is moved by hand. */
async function openYear(
  of: Parameters<typeof openWorld>[0] = {},
): Promise<World & { pass(days: number): void }> {
  let ahead = 0;
  const clock: Clock = { ...hastyClock, now: () => hastyClock.now() + ahead };
  const world = await openWorld({ ...of, options: { clock, ...of.options } });
  return Object.assign(world, {
    pass(days: number) {
      ahead += days * DAY;
    },
  });
}

/** Checkpoints a day apart, the oldest first. */
async function protectDaily(
  world: Awaited<ReturnType<typeof openYear>>,
  count: number,
): Promise<CheckpointId[]> {
  const ids: CheckpointId[] = [];
  for (let day = 0; day < count; day += 1) {
    await changeVolume(join(world.path, 'a'), 'web-root', 1_000, `day ${day}`);
    ids.push(await protect(world));
    world.pass(1);
  }
  return ids;
}

const retain = async ({ acme, plan }: World, policy?: RetentionPolicy) =>
  (await acme.retain(plan.id, policy && { policy })).result();

const standing = async ({ acme }: World): Promise<CheckpointId[]> =>
  (await all(acme.checkpoints.list())).filter(({ state }) => state !== 'removed').map(({ id }) => id);

const withReason = { reason: 'case 4711' };

describe('retain', () => {
  it('removes what the rules no longer want, and what stays still restores', async () => {
    await using world = await openYear();
    const [first, second, third, fourth] = await protectDaily(world, 4);
    const result = await retain(world, { archive: { last: 2 } });
    expect(result).toMatchObject({
      checkpoints: 4,
      removed: [first, second],
      reduced: [],
      busy: [],
      more: 0,
    });
    expect(result.leftovers).toBeUndefined();
    expect(await standing(world)).toEqual([third, fourth]);
    await (await world.acme.collect({ provider: 'gold' })).result();
    for (const id of [third, fourth]) {
      expect((await (await world.acme.verify(id as CheckpointId)).result()).copies).toBe(VOLUMES.length);
    }
  });

  it('does what its preview says, and no more though the rules have come to want it', async () => {
    await using world = await openYear();
    const [first, second] = await protectDaily(world, 3);
    const preview = await world.acme.preview.retain(world.plan.id, { policy: { archive: { last: 2 } } });
    expect(preview.decisions.map(({ action }) => action)).toEqual(['keep', 'keep', 'remove']);
    expect(await standing(world)).toHaveLength(3);
    await protect(world);
    const { removed } = await (await world.acme.run(preview)).result();
    expect(removed).toEqual([first]);
    expect(await standing(world)).toContain(second);
  });

  it('goes by what the plan says, and by what the call says before that', async () => {
    await using world = await openYear();
    const plan = await world.acme.plans.create({
      name: 'kept',
      provider: 'gold',
      resources: world.plan.resources,
      retention: { archive: { last: 1 } },
    });
    expect((await world.acme.plans.get(plan.id))?.retention).toEqual({ archive: { last: 1 } });
    const mine = { ...world, plan };
    const [first, , third] = await protectDaily({ ...mine, pass: world.pass } as never, 3);
    expect((await retain(mine as never, { archive: { last: 3 } })).removed).toEqual([]);
    expect((await retain(mine as never)).removed).toHaveLength(2);
    expect(await standing(world)).toEqual([third]);
    expect(first).not.toBe(third);
  });

  it('touches the checkpoints of no other plan', async () => {
    await using world = await openYear();
    const other = await world.acme.plans.create({
      name: 'other',
      provider: 'gold',
      resources: world.plan.resources,
    });
    await protectDaily(world, 2);
    await (await world.acme.protect(other.id)).result();
    const { checkpoints } = await retain(world, { archive: { last: 1 } });
    expect(checkpoints).toBe(2);
    expect(await standing(world)).toHaveLength(2);
  });

  it('never removes for one that is not proven: after runs that came to nothing the last good one is there', async () => {
    const bank = memoryBank({ name: 'bank' });
    await using world = await openYear({ bank });
    const [first] = await protectDaily(world, 3);
    const newest = (await standing(world)).slice(1);
    // What was proven turns out to be lost.
    for (const id of newest) await loseArchives(bank, world, id);
    expect((await retain(world, { archive: { last: 1 } })).removed).toEqual([]);
    expect(await standing(world)).toContain(first);
  });

  it('takes snapshots from the array and leaves the archive, where the two have rules of their own', async () => {
    await using world = await openYear({
      provider: 'flag',
      rules: { policy: { archive: { default: true }, keep: { default: 'all' } } },
    });
    const ids: CheckpointId[] = [];
    for (let day = 0; day < 3; day += 1) {
      const { checkpoint, archive } = await (await world.acme.protect(world.plan.id)).result();
      if (archive !== undefined) await world.acme.jobs.handle(archive).result();
      ids.push(checkpoint);
      world.pass(1);
    }
    const result = await retain(world, { array: { last: 1 }, archive: { last: 2 }, proof: 'stored' });
    expect(result).toMatchObject({ removed: [ids[0]], reduced: [ids[1]] });
    const kinds = async (id: CheckpointId | undefined) => {
      const { artifacts } = await world.acme.checkpoints.get(id as CheckpointId);
      return new Set(artifacts.flatMap(({ volume }) => volume?.copies.map(({ kind }) => kind) ?? []));
    };
    expect(await kinds(ids[1])).toEqual(new Set(['archive']));
    expect(await kinds(ids[2])).toEqual(new Set(['array', 'archive']));
  });

  it.each([
    [{}, 'needs rules'],
    [{ archive: {} }, 'needs a rule'],
    [{ archive: { spacing: 1 } }, 'needs a rule'],
    [{ archive: { last: 0 } }, 'last'],
    [{ archive: { last: 1 }, least: 0 }, 'least'],
    [{ archive: { last: 1 }, timeZone: 'Mars/Olympus' }, 'time zone'],
    [{ archive: { newest: 1 } }, 'unknown option newest'],
  ])('refuses the policy %j', async (policy, words) => {
    await using world = await openWorld();
    const error = await failure(() =>
      world.acme.retain(world.plan.id, { policy: policy as RetentionPolicy }),
    );
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS', message: expect.stringContaining(words) });
  });

  it('refuses a plan without retention where the call has none', async () => {
    await using world = await openWorld();
    expect(await failure(() => world.acme.retain(world.plan.id))).toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});

describe('a hold', () => {
  it('keeps a checkpoint from everybody, until it is lifted', async () => {
    await using world = await openYear();
    const [first = '' as CheckpointId] = await protectDaily(world, 3);
    const { hold } = await (await world.acme.hold(first, withReason)).result();
    const [listed] = await all(world.acme.checkpoints.list());
    expect(listed).toMatchObject({
      id: first,
      state: 'available',
      holds: [{ id: hold, actor: 'test', ...withReason }],
    });

    const removing = await world.acme.remove(first);
    expect(await failure(() => removing.result())).toMatchObject({ code: 'HELD' });
    expect(await failure(() => world.acme.preview.remove(first))).toMatchObject({ code: 'HELD' });
    await retain(world, { archive: { last: 1 } });
    expect(await standing(world)).toContain(first);
    expect((await standing(world)).length).toBe(2);

    await (await world.acme.lift(first, hold, { reason: 'closed' })).result();
    expect((await world.acme.checkpoints.get(first)).holds).toEqual([]);
    expect((await retain(world, { archive: { last: 1 } })).removed).toEqual([first]);
  });

  it('is one of several, and all must be lifted', async () => {
    await using world = await openYear();
    const [only = '' as CheckpointId] = await protectDaily(world, 1);
    const holds = [];
    for (const reason of ['one', 'two'])
      holds.push((await (await world.acme.hold(only, { reason })).result()).hold);
    await (await world.acme.lift(only, holds[0] ?? ('' as never), withReason)).result();
    expect((await world.acme.checkpoints.get(only)).holds).toMatchObject([{ id: holds[1], reason: 'two' }]);
    const removing = await world.acme.remove(only);
    expect(await failure(() => removing.result())).toMatchObject({ code: 'HELD' });
  });

  it('keeps snapshots on their arrays, also from who archives later', async () => {
    await using world = await openYear({ provider: 'bronze' });
    const [only = '' as CheckpointId] = await protectDaily(world, 1);
    await (await world.acme.hold(only, withReason)).result();
    await (await world.acme.archive(only, { removeSnapshots: true })).result();
    const { artifacts } = await world.acme.checkpoints.get(only);
    for (const { volume } of artifacts.filter(({ volume: found }) => found !== null)) {
      expect(volume?.copies.map(({ kind }) => kind).toSorted()).toEqual(['archive', 'array']);
    }
  });

  it('is refused for what was removed, and to lift one that is not there', async () => {
    await using world = await openYear();
    const [first = '' as CheckpointId, second = '' as CheckpointId] = await protectDaily(world, 2);
    await (await world.acme.remove(first)).result();
    const late = await world.acme.hold(first, withReason);
    expect(await failure(() => late.result())).toMatchObject({ code: 'NOT_AVAILABLE' });
    const unknown = await world.acme.lift(second, late.id, withReason);
    expect(await failure(() => unknown.result())).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(() => world.acme.hold(second, { reason: '' }))).toMatchObject({
      code: 'INVALID_OPTIONS',
    });
  });
});

/** Takes the archives of a checkpoint out of the bank, and has that found. */
async function loseArchives(bank: Bank, { acme }: World, id: CheckpointId): Promise<void> {
  const call = { signal: AbortSignal.timeout(60_000) };
  const { artifacts } = await acme.checkpoints.get(id);
  const copies = artifacts.flatMap(({ volume }) => volume?.copies ?? []);
  const manifests = copies.map(({ reference }) => JSON.stringify(reference));
  for (const { key } of await all(bank.list('acme/manifests/', call))) {
    const name = key.slice('acme/manifests/'.length).split('=')[0] ?? key;
    if (manifests.some((text) => text.includes(name))) await bank.remove([key], call);
  }
  await (await acme.verify(id)).result().catch(() => undefined);
  expect((await acme.checkpoints.get(id)).state).toBe('failed');
}
