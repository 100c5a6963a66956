import assert from 'node:assert/strict';
import type { JobClaim, JobStore, Place } from '../../core/contracts/index.ts';
import { type Cases, claimOf, ENDED, FAILED, job, ODD, OTHER, rejects, SUCCEEDED } from './fixtures.ts';

const NOW = 1_500;
const BANK: Place = { name: `bank ${ODD}`, limit: 2 };
const ARRAY: Place = { name: 'array', limit: 1 };

/** Adds a job and claims it until 2,000. */
async function running(store: JobStore, number: number, changes = {}): Promise<JobClaim> {
  await store.enqueue(job(number, changes));
  return claimOf(store, { job: job(number).id });
}

/** Limits that hold over all workers of a store. */
export const places: Cases = {
  'a name has as many places as its limit says, for claims of all tenants together': async (store) => {
    assert.equal(await store.occupy(await running(store, 1), [BANK], NOW), true);
    assert.equal(await store.occupy(await running(store, 2, { tenant: OTHER }), [BANK], NOW), true);
    const third = await running(store, 3);
    assert.equal(await store.occupy(third, [BANK], NOW), false);
    assert.equal(await store.occupy(third, [{ ...BANK, name: 'another bank' }], NOW), true);
    assert.equal(await store.occupy(third, [{ ...BANK, limit: 3 }], NOW), true);
  },
  'of claims that ask at once, as many get a place as there are': async (store) => {
    const claims: JobClaim[] = [];
    for (const number of [1, 2, 3, 4, 5, 6]) claims.push(await running(store, number));
    const answers = await Promise.all(claims.map((claim) => store.occupy(claim, [BANK, ARRAY], NOW)));
    assert.equal(answers.filter((answer) => answer).length, 1);
    const more = await Promise.all(claims.map((claim) => store.occupy(claim, [BANK], NOW)));
    assert.equal(more.filter((answer) => answer).length, 2);
  },
  'of several places all are taken or none': async (store) => {
    assert.equal(await store.occupy(await running(store, 1), [ARRAY], NOW), true);
    const second = await running(store, 2);
    assert.equal(await store.occupy(second, [{ ...BANK, limit: 1 }, ARRAY], NOW), false);
    assert.equal(await store.occupy(await running(store, 3), [{ ...BANK, limit: 1 }], NOW), true);
  },
  'a claim that has a place has it still when it asks again': async (store) => {
    const claim = await running(store, 1);
    assert.equal(await store.occupy(claim, [ARRAY], NOW), true);
    assert.equal(await store.occupy(claim, [ARRAY], NOW), true);
    assert.equal(await store.occupy(await running(store, 2), [ARRAY], NOW), false);
  },
  'the end of a job gives its places back, and so does its being postponed': async (store) => {
    const [first, second, third] = [
      await running(store, 1),
      await running(store, 2),
      await running(store, 3),
    ];
    assert.equal(await store.occupy(first, [ARRAY], NOW), true);
    await store.finish(first, SUCCEEDED, ENDED);
    assert.equal(await store.occupy(second, [ARRAY], NOW), true);
    await store.postpone(second, 0);
    assert.equal(await store.occupy(third, [ARRAY], NOW), true);
    // Whoever takes the job again has to ask again.
    const again = await claimOf(store, { job: job(2).id });
    assert.equal(await store.occupy(again, [ARRAY], NOW), false);
    await store.finish(third, FAILED, ENDED);
    assert.equal(await store.occupy(again, [ARRAY], NOW), true);
  },
  'the places of a worker that is not heard of come back when its lease has ended': async (store) => {
    const first = await running(store, 1);
    const second = await running(store, 2);
    assert.equal(await store.occupy(first, [ARRAY], NOW), true);
    await store.heartbeat(second, 9_000);
    assert.equal(await store.occupy(second, [ARRAY], 2_000), false);
    await store.heartbeat(first, 3_000);
    assert.equal(await store.occupy(second, [ARRAY], 3_000), false);
    assert.equal(await store.occupy(second, [ARRAY], 3_001), true);
    // Who takes the job over does not have them.
    const heir = await claimOf(store, { now: 3_001, leaseUntil: 9_000, job: job(1).id });
    assert.equal(await store.occupy(heir, [ARRAY], 3_002), false);
  },
  'a former claim takes no place and is FENCED': async (store) => {
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const current = await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.occupy(former, [ARRAY], 2_001), 'FENCED');
    assert.equal(await store.occupy(await running(store, 2), [ARRAY], NOW), true);
    await store.finish(current, SUCCEEDED, ENDED);
    await rejects(store.occupy(current, [ARRAY], 2_001), 'FENCED');
  },
};
