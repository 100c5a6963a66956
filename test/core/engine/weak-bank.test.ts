import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import { putCommit } from '../../../src/core/archive/checkpoint.ts';
import type { Bank, CheckpointId, IdSource } from '../../../src/index.ts';
import { createEngine, FafnirError } from '../../../src/index.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { type WeakBankOptions, weakBank } from '../../../src/testing/weak-bank.ts';
import { commitTo } from '../archive/checkpoints.ts';
import { vaultOf } from '../archive/vaults.ts';
import { readVolume } from './application.ts';
import {
  all,
  arraySnapshots,
  availableOf,
  hastyClock,
  openWorld,
  protect,
  providersIn,
  VOLUMES,
  type World,
} from './world.ts';

const LAGS = 4;
const SEEDS = [1, 2, 3];
const call = { signal: new AbortController().signal };

const weak = (options: Partial<WeakBankOptions>, bank: Bank = memoryBank({ name: 'bank' })): Bank =>
  weakBank(bank, { staleness: { reads: 0, lists: 0 }, conditionalCreate: 'none', seed: 1, ...options });
const listingLate = (seed: number): Bank => weak({ staleness: { reads: 0, lists: LAGS }, seed });

/** The same in every run, so that the same keys are hidden. */
function countingIds(): IdSource {
  let count = 0;
  return () => {
    count += 1;
    return String(count).padStart(32, '0');
  };
}

const openWeak = (bank: Bank): Promise<World> => openWorld({ bank, options: { ids: countingIds() } });

/** What the work comes to once the bank shows what it needs. */
async function inTheEnd<Value>(work: () => Promise<Value>): Promise<Value> {
  for (let missed = 0; ; missed += 1) {
    try {
      return await work();
    } catch (error) {
      if (missed === 3 * LAGS || !FafnirError.is(error, 'NOT_FOUND')) throw error;
    }
  }
}

async function expectRestored({ path }: World): Promise<void> {
  for (const id of VOLUMES) {
    const [original, restored] = await Promise.all(
      ['a', 'b'].map((site) => readVolume(join(path, site), id)),
    );
    expect(original?.equals(restored ?? Buffer.of()), `bytes of ${id}`).toBe(true);
  }
}

const restore = async ({ acme }: World, id: CheckpointId) =>
  (await acme.restore(id, { to: 'silver' })).result();
const verify = async ({ acme }: World, id: CheckpointId) => (await acme.verify(id)).result();
const remove = async ({ acme }: World, id: CheckpointId) => (await acme.remove(id)).result();
const statesOf = async ({ acme }: World) => (await all(acme.checkpoints.list())).map(({ state }) => state);

describe.each(['none', 'best-effort'] as const)(
  'on a bank with %s of conditional create',
  (conditionalCreate) => {
    it('an application is protected twice, verified, restored and removed', async () => {
      await using world = await openWeak(weak({ conditionalCreate }));
      const first = await protect(world);
      const second = await protect(world);
      expect(await verify(world, second)).toMatchObject({ copies: 3, unreachable: 0 });
      expect(await restore(world, second)).toMatchObject({ volumes: 3 });
      await expectRestored(world);
      await remove(world, first);
      expect(await statesOf(world)).toEqual(['removed', 'available']);
      expect(await arraySnapshots(world)).toEqual([]);
    });
  },
);

describe.each(SEEDS)('on a bank that lists late, seed %i', (seed) => {
  it('what is protected is listed in the end, and restores', async () => {
    await using world = await openWeak(listingLate(seed));
    const checkpoint = await protect(world);
    const seen: string[] = [];
    for (let lists = 0; lists <= LAGS; lists += 1) seen.push(...(await statesOf(world)));
    expect(new Set(seen)).toEqual(new Set(['available']));
    expect(await inTheEnd(() => restore(world, checkpoint))).toMatchObject({ resources: 8, volumes: 3 });
    await expectRestored(world);
  });

  it('what is removed is listed as removed in the end', async () => {
    await using world = await openWeak(listingLate(seed));
    const checkpoint = await protect(world);
    await inTheEnd(() => remove(world, checkpoint));
    for (let lists = 0; lists <= LAGS; lists += 1) await statesOf(world);
    expect(await statesOf(world)).toEqual(['removed']);
  });
});

const KINDS = ['keys', 'graphs', 'artifacts', 'commits', 'manifests', 'index', 'data'];

describe.each(KINDS)('on a bank that shows new objects among the %s late', (kind) => {
  it.each([1, 2])('a protect fails and leaves nothing, or what it made restores, seed %i', async (seed) => {
    const sound = memoryBank({ name: 'bank' });
    const late = weak({ staleness: { reads: LAGS, lists: 0 }, seed }, sound);
    const bankOf = (key: string): Bank => (key.includes(`/${kind}/`) ? late : sound);
    const bank = wrap(sound, {
      put: (key, body, options) => bankOf(key).put(key, body, options),
      get: (key, read, options) => bankOf(key).get(key, read, options),
      head: (key, options) => bankOf(key).head(key, options),
    });
    await using world = await openWeak(bank);
    const made = await protect(world).catch((error: unknown) => {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(NOT_FOUND|NOT_PROVEN|UNAVAILABLE)$/) });
      return undefined;
    });
    if (made !== undefined) await restore(world, made);
    expect(await availableOf(world)).toHaveLength(made === undefined ? 0 : 1);
    expect(await arraySnapshots(world)).toEqual([]);
  });
});

describe('on a weak bank', () => {
  it('a protect leaves no snapshot behind where its commit is listed late', async () => {
    for (const seed of SEEDS) {
      await using world = await openWeak(listingLate(seed));
      await protect(world);
      expect(await arraySnapshots(world)).toEqual([]);
    }
  });

  it('what a protect could not clear up is cleared up by a later reconcile', async () => {
    for (const seed of SEEDS) {
      await using world = await openWeak(listingLate(seed));
      await protect(world);
      for (let lists = 0; lists <= LAGS; lists += 1) await statesOf(world);
      await world.engine.reconcile();
      expect(await arraySnapshots(world)).toEqual([]);
    }
  });

  it('a verify calls nothing lost that was removed on purpose', async () => {
    for (const seed of SEEDS) {
      await using world = await openWeak(listingLate(seed));
      const checkpoint = await protect(world);
      if ((await arraySnapshots(world)).length > 0) continue;
      await inTheEnd(() => verify(world, checkpoint));
    }
  });

  it('a checkpoint whose copies were removed is not listed as available or partial', async () => {
    for (const seed of SEEDS) {
      await using world = await openWeak(listingLate(seed));
      const checkpoint = await protect(world);
      await inTheEnd(() => remove(world, checkpoint));
      for (let lists = 0; lists <= LAGS; lists += 1) {
        expect((await statesOf(world)).filter((state) => state !== 'removed')).toEqual([]);
      }
    }
  });

  it('a verify calls no copy lost for good that a replica does not show yet', async () => {
    const primary = memoryBank({ name: 'bank' });
    await using world = await openWorld({ bank: primary });
    const checkpoint = await protect(world);
    const replica = weak({ staleness: { reads: LAGS, lists: 0 } });
    let objects = 0;
    for await (const { key, size } of primary.list('', call)) {
      await replica.put(key, await primary.get(key, { limit: size }, call), { ...call, ifAbsent: true });
      const isRecord = !/\/(manifests|index|data)\//.test(key);
      if (isRecord) while ((await replica.head(key, call)) === undefined);
      else objects += 1;
    }
    await using elsewhere = await createEngine({
      store: memoryStore(),
      providers: Object.values(providersIn(world.path, undefined, replica)),
      clock: hastyClock,
    });
    const acme = elsewhere.for({ tenant: 'acme', actor: 'test' });
    // What a verify records is shown late too.
    const stateNow = async () => (await inTheEnd(() => acme.checkpoints.get(checkpoint))).state;
    const states: string[] = [];
    while (states.at(-1) !== 'available' && states.length <= objects * LAGS) {
      const job = await acme.verify(checkpoint);
      await job.result().catch(() => undefined);
      states.push(await stateNow());
    }
    expect(states.at(-1)).toBe('available');
    expect(await (await acme.verify(checkpoint)).result()).toMatchObject({ copies: 3 });
    expect(await stateNow()).toBe('available');
    expect(await (await acme.restore(checkpoint, { to: 'silver' })).result()).toMatchObject({ volumes: 3 });
    await expectRestored(world);
  });

  it('a protect succeeds where new objects are shown late', async () => {
    await using world = await openWeak(weak({ staleness: { reads: 1, lists: 0 } }));
    await protect(world);
  });

  it('of two commits of one job the first stays, and both writers hear of it', async () => {
    const vault = vaultOf(weak({}));
    const first = await commitTo(vault, ['disk']);
    const second = await putCommit(vault, { ...first, epoch: first.epoch + 1 }, call);
    expect(second.epoch).toBe(first.epoch);
  });
});
