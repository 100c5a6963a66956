import assert from 'node:assert/strict';
import type { JobClaim } from '../../core/contracts/index.ts';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  FAILED,
  INTENT,
  job,
  OTHER,
  rejects,
  SUCCEEDED,
  takenOver,
} from './fixtures.ts';

/** Claims, leases, epochs and fencing. */
export const leases: Cases = {
  'claim of an empty store is undefined': async (store) => {
    assert.equal(await store.claim({ now: 1, leaseUntil: 2 }), undefined);
  },
  'claim takes the oldest job first, by id, of any tenant': async (store) => {
    await store.enqueue(job(3));
    await store.enqueue(job(1, { tenant: OTHER, createdAt: Number.MAX_SAFE_INTEGER }));
    await store.enqueue(job(2));
    for (const number of [1, 2, 3]) assert.equal((await claimOf(store)).job.id, job(number).id);
    assert.equal(await store.claim({ now: 1_000, leaseUntil: 2_000 }), undefined);
  },
  'claim gives the job as running, with its lease and the epoch of the claim': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const expected = {
      ...job(1),
      state: 'running',
      epoch: 1,
      leaseUntil: 2_000,
      notBefore: 0,
      cancelRequested: false,
      startedAt: 1_000,
    };
    assert.deepEqual(claim, { job: expected });
    assert.deepEqual(await store.get(ACME, job(1).id), expected);
  },
  'claim by name takes that job, though there are older ones': async (store) => {
    for (const number of [1, 2, 3]) await store.enqueue(job(number));
    assert.equal((await claimOf(store, { job: job(2).id })).job.id, job(2).id);
    assert.equal((await store.get(ACME, job(1).id))?.state, 'queued');
  },
  'claim by name takes no other job where that one is unknown, leased or ended': async (store) => {
    for (const number of [1, 2, 3]) await store.enqueue(job(number));
    await claimOf(store, { job: job(1).id });
    await store.finish(await claimOf(store, { job: job(2).id }), SUCCEEDED, ENDED);
    for (const number of [1, 2, 99]) {
      assert.equal(await store.claim({ now: 1_500, leaseUntil: 3_000, job: job(number).id }), undefined);
    }
  },
  'a lease that ends exactly at `now` still holds; it has ended one millisecond later': async (store) => {
    await store.enqueue(job(1));
    await claimOf(store);
    assert.equal(await store.claim({ now: 2_000, leaseUntil: 3_000 }), undefined);
    assert.equal(await store.claim({ now: 2_000, leaseUntil: 3_000, job: job(1).id }), undefined);
    assert.equal((await claimOf(store, { now: 2_001, leaseUntil: 3_000 })).job.id, job(1).id);
  },
  'each claim raises the epoch': async (store) => {
    const { former, current } = await takenOver(store);
    assert.deepEqual([former.job.epoch, current.job.epoch], [1, 2]);
    assert.equal((await claimOf(store, { now: 3_001, leaseUntil: 4_000, job: job(1).id })).job.epoch, 3);
  },
  'an ended lease of an older job comes before a younger queued one': async (store) => {
    await store.enqueue(job(1));
    await claimOf(store);
    await store.enqueue(job(2));
    assert.equal((await claimOf(store, { now: 2_001, leaseUntil: 3_000 })).job.id, job(1).id);
  },
  'an ended job is never claimed again': async (store) => {
    await store.enqueue(job(1));
    await store.finish(await claimOf(store), SUCCEEDED, ENDED);
    assert.equal(await store.claim({ now: 9_999_999, leaseUntil: 10_000_000 }), undefined);
  },
  'claims that run at once take different jobs': async (store) => {
    const numbers = Array.from({ length: 20 }, (_, at) => at);
    for (const number of numbers) await store.enqueue(job(number));
    const claims = await Promise.all(numbers.map(() => claimOf(store)));
    assert.equal(new Set(claims.map((claim) => claim.job.id)).size, numbers.length);
  },
  'heartbeat extends the lease': async (store) => {
    await store.enqueue(job(1));
    assert.deepEqual(await store.heartbeat(await claimOf(store), 5_000), { cancelRequested: false });
    assert.equal((await store.get(ACME, job(1).id))?.leaseUntil, 5_000);
    assert.equal(await store.claim({ now: 5_000, leaseUntil: 9_000 }), undefined);
    assert.equal((await claimOf(store, { now: 5_001, leaseUntil: 9_000 })).job.epoch, 2);
  },
  'heartbeat with an earlier end gives the job up early': async (store) => {
    await store.enqueue(job(1));
    await store.heartbeat(await claimOf(store), 1_500);
    assert.equal((await claimOf(store, { now: 1_501, leaseUntil: 9_000 })).job.epoch, 2);
  },
  'heartbeat after the lease ended is fine while nobody else claimed': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store, { now: 0, leaseUntil: 1 });
    await store.heartbeat(claim, 5_000);
    assert.equal(await store.claim({ now: 2, leaseUntil: 3 }), undefined);
  },
  'heartbeat of a former claim is FENCED and extends nothing': async (store) => {
    const { former, current } = await takenOver(store);
    await rejects(store.heartbeat(former, 99_999), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), current.job);
  },
  'append of a former claim is FENCED and adds nothing': async (store) => {
    const { former, current } = await takenOver(store);
    await rejects(store.append(former, [INTENT]), 'FENCED');
    assert.deepEqual(await store.journal(ACME, job(1).id), []);
    await store.append(current, [INTENT]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT]);
  },
  'finish of a former claim is FENCED and ends nothing': async (store) => {
    const { former, current } = await takenOver(store);
    await rejects(store.finish(former, SUCCEEDED, ENDED), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), current.job);
    await store.finish(current, FAILED, ENDED);
    assert.equal((await store.get(ACME, job(1).id))?.state, 'failed');
  },
  'a claim with an epoch still to come, or of an unknown or unclaimed job, is FENCED': async (store) => {
    await store.enqueue(job(1));
    await store.enqueue(job(2));
    const claim = await claimOf(store);
    const unclaimed = await store.enqueue(job(2));
    const forged: JobClaim[] = [
      { job: { ...claim.job, epoch: 2 } },
      { job: unclaimed },
      { job: { ...claim.job, id: job(99).id } },
    ];
    for (const claim of forged) {
      await rejects(store.heartbeat(claim, 5_000), 'FENCED');
      await rejects(store.append(claim, [INTENT]), 'FENCED');
      await rejects(store.finish(claim, SUCCEEDED, ENDED), 'FENCED');
    }
    assert.deepEqual(await store.get(ACME, job(2).id), unclaimed);
  },
};
