import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filesystemBank } from '../../../src/banks/filesystem.ts';
import { memoryBank } from '../../../src/banks/memory.ts';
import type { Bank, Clock, Job } from '../../../src/index.ts';
import { FafnirError, sumUsage } from '../../../src/index.ts';
import { changeVolume, temporaryDirectory } from './application.ts';
import { expectReconciled } from './metering.ts';
import { direct, Fault, type Tap } from './taps.ts';
import { all, failure, hastyClock, openWorld, protect, VOLUMES, type World } from './world.ts';

const RUNS = Number(process.env.FAFNIR_RUNS ?? 6);
const DAY = 24 * 60 * 60 * 1_000;
const FIRST_DAY = Date.UTC(2026, 0, 1);

/** The machine's time, moved to the first of a month and on by days. */
class Calendar {
  #day = 0;
  readonly #start = hastyClock.now();
  readonly clock: Clock = {
    ...hastyClock,
    now: () => FIRST_DAY + this.#day * DAY + hastyClock.now() - this.#start,
  };

  tomorrow(): void {
    this.#day += 1;
  }
}

/** A world whose calls can be disturbed. */
interface Disturbed {
  readonly world: World;
  readonly calendar: Calendar;
  disturb: Tap;
}

async function disturbed(bank: Bank): Promise<Disturbed & AsyncDisposable> {
  const calendar = new Calendar();
  const of = { disturb: direct };
  const tap: Tap = (...call) => of.disturb(...call);
  const world = await openWorld({ tap, bank, options: { clock: calendar.clock, quota: () => ({}) } });
  return Object.assign(of, { world, calendar, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() });
}

const ended = (job: Job<unknown>): Promise<unknown> => job.result().catch(() => undefined);
const available = async ({ acme }: World) =>
  (await all(acme.checkpoints.list())).filter(({ state }) => state === 'available');

type Step = {
  readonly what: 'protect' | 'keep' | 'archive' | 'remove' | 'verify' | 'collect' | 'fail' | 'cancel';
  readonly pick: number;
  readonly at: number;
};

/** What a host does on one day; resolves when the job, if there was one, has ended. */
async function oneDay(of: Disturbed, { what, pick, at }: Step): Promise<void> {
  const { acme, plan, path } = of.world;
  const [volume = 'web-root'] = VOLUMES.slice(pick % VOLUMES.length);
  await changeVolume(join(path, 'a'), volume, at * 10_000, `day ${pick} and ${at}`);
  const found = await available(of.world);
  const chosen = found[pick % Math.max(1, found.length)];
  try {
    if (what === 'protect') await ended(await acme.protect(plan.id));
    if (what === 'keep') await ended(await acme.protect((await flagged(of.world)).id));
    if (what === 'collect') await ended(await acme.collect({ provider: 'gold' }));
    if (what === 'archive' && chosen) await ended(await acme.archive(chosen.id, { removeSnapshots: true }));
    if (what === 'remove' && chosen) await ended(await acme.remove(chosen.id));
    if (what === 'verify' && chosen) await ended(await acme.verify(chosen.id));
    if (what === 'fail') {
      of.disturb = new Fault({ at }).tap;
      await ended(await acme.protect(plan.id));
    }
    if (what === 'cancel') {
      const stop = new AbortController();
      let calls = 0;
      of.disturb = async (_what, run) => {
        calls += 1;
        if (calls === at) stop.abort(new Error('enough'));
        return run();
      };
      await ended(await acme.protect(plan.id, { signal: stop.signal }));
    }
  } finally {
    of.disturb = direct;
    of.calendar.tomorrow();
  }
}

async function flagged({ acme }: World) {
  const plans = await all(acme.plans.list());
  const known = plans.find(({ provider }) => provider === 'flag');
  const [{ resources } = { resources: [] }] = plans;
  return known ?? acme.plans.create({ name: 'kept', provider: 'flag', resources });
}

/** A month in which each kind of day comes, so that none depends on chance. */
const EVERYTHING: Step[] = [
  { what: 'protect', pick: 0, at: 1 },
  { what: 'fail', pick: 1, at: 20 },
  { what: 'cancel', pick: 2, at: 20 },
  { what: 'keep', pick: 0, at: 2 },
  { what: 'archive', pick: 1, at: 3 },
  { what: 'remove', pick: 0, at: 4 },
  { what: 'collect', pick: 0, at: 5 },
];

const isCalm = (days: readonly Step[]): boolean =>
  days.every(({ what }) => what !== 'fail' && what !== 'cancel');

const steps = fc.array(
  fc.record({
    what: fc.constantFrom(
      ...(['protect', 'protect', 'keep', 'archive', 'remove', 'remove', 'verify'] as const),
      ...(['collect', 'fail', 'cancel'] as const),
    ),
    pick: fc.nat(20),
    at: fc.integer({ min: 1, max: 120 }),
  }),
  { minLength: 4, maxLength: 10 },
);

describe.each([
  ['memory', () => memoryBank({ name: 'bank' })],
  ['filesystem', (path: string) => filesystemBank(join(path, 'storage'))],
])('usage records, with a bank in %s', (_name, makeBank) => {
  it('add up to what the bank lists, whatever a month brings', { timeout: 300_000 }, async () => {
    const reached = new Set<string>();
    await fc.assert(
      fc.asyncProperty(steps, async (days) => {
        await using directory = await temporaryDirectory();
        const bank = makeBank(directory.path);
        await using of = await disturbed(bank);
        for (const day of [...days, { what: 'collect', pick: 0, at: 1 } as const]) {
          await oneDay(of, day);
          await expectReconciled(of.world.acme, bank, JSON.stringify(day));
        }
        for (const { operation, state, isWhole, banks } of await all(of.world.acme.usage())) {
          reached.add(`${operation} ${state}`);
          // What a call has stored that failed, or was cut off, nobody knows for certain.
          if (isCalm(days)) expect(isWhole).toBe(true);
          // Nothing had to be corrected: nobody died.
          for (const { corrected, checkpoints } of banks) {
            expect(corrected).toBe(0);
            if (operation === 'collect') expect(checkpoints).toBe(0);
          }
        }
      }),
      { numRuns: RUNS, examples: [[EVERYTHING]] },
    );
    for (const one of ['protect succeeded', 'protect failed', 'protect cancelled', 'collect succeeded']) {
      expect(reached).toContain(one);
    }
  });
});

it('a record tells of the job, its times and what it read, stored and called', async () => {
  const bank = memoryBank({ name: 'bank' });
  await using of = await disturbed(bank);
  const { acme, plan, engine } = of.world;
  const first = await protect(of.world);
  of.calendar.tomorrow();
  const second = await protect(of.world);
  of.calendar.tomorrow();
  await (await acme.remove(first)).result();
  const records = await all(acme.usage());
  const jobs = records.filter(({ parent }) => parent === undefined);
  expect(jobs.map(({ operation, state, checkpoint }) => [operation, state, checkpoint])).toEqual([
    ['protect', 'succeeded', first],
    ['protect', 'succeeded', second],
    ['remove', 'succeeded', first],
  ]);
  const size = 3 * 3.5 * 2 ** 20;
  for (const record of jobs) {
    expect(record).toMatchObject({ tenant: 'acme', actor: 'test', plan: plan.id, provider: 'gold' });
    expect(record).toMatchObject({ logical: size, changed: 0, isWhole: true });
    expect(record.startedAt).toBeGreaterThanOrEqual(record.createdAt);
    expect(record.endedAt).toBeGreaterThanOrEqual(record.startedAt);
  }
  // Snapshots went when their archives were proven.
  expect(jobs.map(({ array }) => array)).toEqual([0, 0, 0]);
  expect(jobs[0]?.calls.arrays).toBeGreaterThan(0);
  const parts = records.filter(({ parent }) => parent !== undefined);
  expect(parts.map(({ parent }) => parent).sort()).toEqual(
    [first, first, first, second, second, second].sort(),
  );
  for (const part of parts) {
    expect(part).toMatchObject({ operation: 'archive-volume', plan: plan.id, logical: 0 });
    expect(part.checkpoint).toBe(part.parent);
    expect(part.changed).toBeGreaterThan(700_000);
    expect(part.changed).toBeLessThanOrEqual(3.5 * 2 ** 20);
  }
  const [total] = await sumUsage(acme.usage(), []);
  expect(total).toMatchObject({ jobs: 3, logical: 3 * size, inPart: 0 });
  // The times of a time, and of other tenants.
  expect(await all(acme.usage({ from: FIRST_DAY + 2 * DAY }))).toHaveLength(1);
  expect(await all(acme.usage({ until: FIRST_DAY }))).toEqual([]);
  expect(await all(engine.usage())).toEqual(records);
  expect(await all(engine.for({ tenant: 'other', actor: 'test' }).usage())).toEqual([]);
});

it('snapshots that stay on arrays are told with the size of their volumes', async () => {
  await using world = await openWorld({ provider: 'bronze' });
  const kept = await protect(world);
  await (await world.acme.remove(kept)).result();
  const size = 3 * 3.5 * 2 ** 20;
  expect((await all(world.acme.usage())).map(({ array }) => array)).toEqual([size, -size]);
});

it('a bank that stored without saying so is found out by the next collection', async () => {
  const bank = memoryBank({ name: 'bank' });
  await using of = await disturbed(bank);
  const isData = (what: string) => what.startsWith('bank.put acme/data/');
  of.disturb = new Fault({ matches: isData, time: 'after' }).tap;
  await ended(await of.world.acme.protect(of.world.plan.id));
  of.disturb = direct;
  const before = await all(of.world.acme.usage());
  expect(before.some(({ isWhole }) => !isWhole)).toBe(true);
  const { corrected } = await (await of.world.acme.collect({ provider: 'gold' })).result();
  expect(corrected).not.toBe(0);
  await expectReconciled(of.world.acme, bank, 'the collection');
  const last = (await all(of.world.acme.usage())).at(-1);
  expect(last?.banks).toEqual([
    { bank: 'bank', stored: last?.stored, corrected, checkpoints: 0, protected: 0 },
  ]);
  expect((await (await of.world.acme.collect({ provider: 'gold' })).result()).corrected).toBe(0);
});

it('a time that is none is INVALID_OPTIONS', async () => {
  await using world = await openWorld();
  const asked = { from: 'yesterday' } as unknown as { from: number };
  expect((await failure(() => world.acme.usage(asked))).code).toBe('INVALID_OPTIONS');
  expect((await failure(() => all(world.engine.usage(asked)))).code).toBe('INVALID_OPTIONS');
  expect(FafnirError.is(await failure(() => world.acme.usage({ until: Number.NaN })))).toBe(true);
});
