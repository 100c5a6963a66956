import assert from 'node:assert/strict';
import type {
  Holdings,
  JobClaim,
  JobEnd,
  JobOutcome,
  JobStore,
  JobUsage,
  NewJob,
  Quota,
  Reservation,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import {
  ACME,
  type Cases,
  claimOf,
  ENDED,
  ERROR,
  FAILED,
  fired,
  job,
  OTHER,
  plan,
  rejects,
  schedule,
  SUCCEEDED,
} from './fixtures.ts';

const NOTHING: Reservation = { checkpoints: 0, protected: 0, stored: 0 };
const NOTHING_USED: Holdings['used'] = { ...NOTHING, jobs: 0, plans: 0, schedules: 0 };
const GIB = 2 ** 30;

const reserving = (changes: Partial<Reservation>): Reservation => ({ ...NOTHING, ...changes });
const endOf = (usage: Partial<JobUsage>): JobEnd => ({
  ...ENDED,
  usage: { ...ENDED.usage, ...NOTHING, ...usage },
});
const reservedIn = async (store: JobStore): Promise<Reservation> =>
  (await store.quotas.holdings(ACME)).reserved;
const usedIn = async (store: JobStore): Promise<Holdings['used']> => (await store.quotas.holdings(ACME)).used;

/** Adds a job and claims it. */
async function running(store: JobStore, made: NewJob): Promise<JobClaim> {
  await store.enqueue(made);
  return claimOf(store, { job: made.id });
}

/** Tries to add something as often as there are items; how often it succeeded, where all else is `QUOTA_EXCEEDED`. */
async function successes<Item>(
  items: readonly Item[],
  add: (item: Item) => Promise<unknown>,
): Promise<number> {
  const tried = await Promise.allSettled(items.map(add));
  for (const one of tried)
    if (one.status === 'rejected') await rejects(Promise.reject(one.reason), 'QUOTA_EXCEEDED');
  return tried.filter(({ status }) => status === 'fulfilled').length;
}

const NUMBERS = [1, 2, 3, 4, 5, 6];
const ENDINGS: readonly JobOutcome[] = [FAILED, SUCCEEDED, { state: 'cancelled', error: ERROR }];

/** What tenants have, and may have. */
export const quotas: Cases = {
  'a tenant of whom nothing is known has nothing': async (store) => {
    assert.deepEqual(await store.quotas.holdings(ACME), { used: NOTHING_USED, reserved: NOTHING });
  },
  'plans and schedules are counted by tenant, and those that were removed no more': async (store) => {
    await store.plans.create(plan(1));
    await store.plans.create(plan(2));
    await store.plans.create(plan(3, { tenant: OTHER }));
    await store.plans.remove(ACME, plan(2).id);
    await store.schedules.create(schedule(1));
    await store.schedules.create(schedule(2));
    await store.schedules.create(schedule(3, { tenant: OTHER }));
    await store.schedules.remove(ACME, schedule(2).id);
    assert.deepEqual(await usedIn(store), { ...NOTHING_USED, plans: 1, schedules: 1 });
  },
  'jobs under way are counted: queued, running and postponed, without parts and those that ended': async (
    store,
  ) => {
    await store.enqueue(job(1));
    const whole = await running(store, job(2));
    await store.enqueue(job(3, { parent: job(2).id }), whole);
    await store.postpone(await running(store, job(4)), 9_000);
    await store.finish(await running(store, job(5)), FAILED, ENDED);
    await store.enqueue(job(6, { tenant: OTHER }));
    assert.equal((await usedIn(store)).jobs, 3);
  },
  'what ended jobs used adds up, and of other tenants does not': async (store) => {
    const ends = [
      { checkpoints: 1, protected: 3 * GIB, stored: 2 ** 50 },
      { checkpoints: 1, protected: GIB, stored: 5 },
      { checkpoints: -1, protected: -3 * GIB, stored: -(2 ** 49) },
    ];
    for (const [number, usage] of ends.entries()) {
      await store.finish(await running(store, job(number)), number === 1 ? FAILED : SUCCEEDED, endOf(usage));
    }
    await store.finish(await running(store, job(9, { tenant: OTHER })), SUCCEEDED, endOf({ stored: 7 }));
    const expected = { ...NOTHING_USED, checkpoints: 1, protected: GIB, stored: 2 ** 49 + 5 };
    assert.deepEqual(await store.quotas.holdings(ACME), { used: expected, reserved: NOTHING });
  },
  'of jobs that are added at once, as many are let in as may be under way': async (store) => {
    const quota = { jobs: 3 };
    const added = await successes(NUMBERS, (number) => store.enqueue(job(number), undefined, { quota }));
    assert.equal(added, 3);
    assert.equal((await usedIn(store)).jobs, 3);
    // Not another's, and not that of nobody.
    await store.enqueue(job(11, { tenant: OTHER }), undefined, { quota });
    await store.enqueue(job(12));
  },
  'a job that is there is found again, whatever the quota; one that ended makes room': async (store) => {
    const claim = await running(store, job(1));
    const quota = { jobs: 1 };
    assert.equal((await store.enqueue(job(1), undefined, { quota })).id, job(1).id);
    await rejects(store.enqueue(job(2), undefined, { quota }), 'QUOTA_EXCEEDED');
    assert.equal(await store.get(ACME, job(2).id), undefined);
    await store.finish(claim, FAILED, ENDED);
    await store.enqueue(job(2), undefined, { quota });
  },
  'a refusal says what is used, reserved, asked for and allowed': async (store) => {
    await store.quotas.reserve(await running(store, job(1)), reserving({ stored: 30 }), {});
    await store.finish(await running(store, job(2)), SUCCEEDED, endOf({ stored: 100 }));
    const claim = await running(store, job(3));
    const refused = store.quotas.reserve(claim, reserving({ stored: 21 }), { stored: 150 });
    const error = await refused.catch((reason: unknown) => reason);
    assert.ok(FafnirError.is(error, 'QUOTA_EXCEEDED'));
    for (const number of [150, 100, 30, 21]) assert.match(error.message, new RegExp(`\\b${number}\\b`));
    await store.quotas.reserve(claim, reserving({ stored: 20 }), { stored: 150 });
  },
  'of plans that are made at once, as many are kept as there may be': async (store) => {
    const quota = { plans: 2 };
    assert.equal(await successes(NUMBERS, (number) => store.plans.create(plan(number), { quota })), 2);
    assert.equal((await usedIn(store)).plans, 2);
    await store.plans.create(plan(11, { tenant: OTHER }), { quota });
  },
  'of schedules that are made at once, as many are kept as there may be': async (store) => {
    const quota = { schedules: 2 };
    assert.equal(
      await successes(NUMBERS, (number) => store.schedules.create(schedule(number), { quota })),
      2,
    );
    assert.equal((await usedIn(store)).schedules, 2);
  },
  'a tick whose job is one too many changes nothing': async (store) => {
    const made = await store.schedules.create(schedule(1));
    await store.enqueue(job(1));
    const advance = { to: { next: 5_000, wakeAt: 5_000 }, ticks: [fired(1_000, job(2))], job: job(2) };
    await rejects(store.schedules.advance(made, { ...advance, quota: { jobs: 1 } }), 'QUOTA_EXCEEDED');
    assert.deepEqual(await store.schedules.get(ACME, made.id), made);
    assert.equal(await store.get(ACME, job(2).id), undefined);
    assert.equal(await store.schedules.advance(made, { ...advance, quota: { jobs: 2 } }), true);
  },
  'what is reserved is counted until its job ends, however it ends': async (store) => {
    const wanted = { checkpoints: 1, protected: 3 * GIB, stored: 2 ** 50 };
    for (const [number, outcome] of ENDINGS.entries()) {
      const claim = await running(store, job(number));
      await store.quotas.reserve(claim, wanted, {});
      assert.deepEqual(await reservedIn(store), wanted);
      assert.deepEqual((await store.quotas.holdings(OTHER)).reserved, NOTHING);
      await store.finish(claim, outcome, endOf({}));
      assert.deepEqual(await reservedIn(store), NOTHING);
    }
  },
  'of reservations that are asked for at once, as many are given as there is room for': async (store) => {
    const quota: Quota = { checkpoints: 5, protected: 10 * GIB };
    const claims: JobClaim[] = [];
    for (const number of NUMBERS) claims.push(await running(store, job(number)));
    const wanted = { checkpoints: 1, protected: 3 * GIB, stored: GIB };
    assert.equal(await successes(claims, (claim) => store.quotas.reserve(claim, wanted, quota)), 3);
    assert.deepEqual(await reservedIn(store), { checkpoints: 3, protected: 9 * GIB, stored: 3 * GIB });
  },
  'what is used counts against a reservation, and what is 0 is not refused': async (store) => {
    await store.finish(await running(store, job(1)), SUCCEEDED, endOf({ checkpoints: 4, stored: 9 }));
    const claim = await running(store, job(2));
    const quota = { checkpoints: 3, stored: 10 };
    await rejects(store.quotas.reserve(claim, reserving({ checkpoints: 1 }), quota), 'QUOTA_EXCEEDED');
    assert.deepEqual(await reservedIn(store), NOTHING);
    await store.quotas.reserve(claim, reserving({ stored: 1 }), quota);
  },
  'a job that has a reservation keeps it, and is refused no more': async (store) => {
    const former = await running(store, job(1));
    await store.quotas.reserve(former, reserving({ stored: 10 }), { stored: 10 });
    await store.postpone(former, 0);
    const again = await claimOf(store, { job: job(1).id });
    await store.quotas.reserve(again, reserving({ stored: 20 }), { stored: 5 });
    assert.deepEqual(await reservedIn(store), reserving({ stored: 10 }));
  },
  'a former claim reserves nothing and is FENCED, and its reservation is its heir': async (store) => {
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const current = await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.quotas.reserve(former, reserving({ stored: 10 }), {}), 'FENCED');
    assert.deepEqual(await reservedIn(store), NOTHING);
    await store.quotas.reserve(current, reserving({ stored: 10 }), {});
    await rejects(store.finish(former, SUCCEEDED, ENDED), 'FENCED');
    assert.deepEqual(await reservedIn(store), reserving({ stored: 10 }));
    await store.finish(current, SUCCEEDED, endOf({}));
    assert.deepEqual(await reservedIn(store), NOTHING);
  },
  'what parts have stored is reserved no more, and never less than nothing': async (store) => {
    const whole = await running(store, job(1));
    await store.quotas.reserve(whole, { checkpoints: 1, protected: 9, stored: 100 }, {});
    const sizes = [60, -30, 70];
    const left = [40, 40, 0];
    for (const [at, stored] of sizes.entries()) {
      const part = job(10 + at, { parent: job(1).id });
      await store.enqueue(part, whole);
      await store.finish(await claimOf(store, { job: part.id }), SUCCEEDED, endOf({ stored }));
      assert.deepEqual(await reservedIn(store), { checkpoints: 1, protected: 9, stored: left[at] });
    }
    assert.equal((await usedIn(store)).stored, 100);
  },
};
