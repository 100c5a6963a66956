import assert from 'node:assert/strict';
import type { JobClaim, JobStore, ResourceLease } from '../../core/contracts/index.ts';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  collect,
  ids,
  INTENT,
  job,
  rejects,
  RESULT,
  SUCCEEDED,
  takenOver,
} from './fixtures.ts';

const WRITE: ResourceLease = { resource: 'volume/a', kind: 'write', excludes: ['write'] };

/** Job 1, claimed and postponed until 5 000. */
async function postponed(store: JobStore): Promise<JobClaim> {
  await store.enqueue(job(1));
  const claim = await claimOf(store);
  await store.postpone(claim, 5_000);
  return claim;
}

/** Putting a job back until a time. */
export const postponing: Cases = {
  'a postponed job is queued, and shows until when': async (store) => {
    await postponed(store);
    const found = await store.get(ACME, job(1).id);
    assert.deepEqual([found?.state, found?.notBefore, found?.epoch], ['queued', 5_000, 1]);
    assert.deepEqual(ids(await collect(store.list(ACME, { state: 'queued' }))), [job(1).id]);
    assert.deepEqual(await store.enqueue(job(1)), found);
  },
  'a postponed job is taken by nobody before its time, also by name': async (store) => {
    await postponed(store);
    assert.equal(await store.claim({ now: 4_999, leaseUntil: 9_000 }), undefined);
    assert.equal(await store.claim({ now: 4_999, leaseUntil: 9_000, job: job(1).id }), undefined);
    assert.equal((await store.get(ACME, job(1).id))?.epoch, 1);
  },
  'a postponed job is taken from its time on, and is then postponed no more': async (store) => {
    await postponed(store);
    const { epoch, state, notBefore } = (await claimOf(store, { now: 5_000, leaseUntil: 9_000 })).job;
    assert.deepEqual({ epoch, state, notBefore }, { epoch: 2, state: 'running', notBefore: 0 });
    assert.equal((await store.get(ACME, job(1).id))?.notBefore, 0);
    assert.equal((await claimOf(store, { now: 9_001, leaseUntil: 9_999 })).job.epoch, 3);
  },
  'a postponed job lets younger ones pass, and comes first again in its time': async (store) => {
    await postponed(store);
    for (const number of [2, 3]) await store.enqueue(job(number));
    assert.equal((await claimOf(store, { now: 4_999, leaseUntil: 9_000 })).job.id, job(2).id);
    assert.equal((await claimOf(store, { now: 5_000, leaseUntil: 9_000 })).job.id, job(1).id);
  },
  'a job postponed to a time gone by is taken at once, and can be postponed again': async (store) => {
    await store.enqueue(job(1));
    await store.postpone(await claimOf(store), 10);
    await store.postpone(await claimOf(store), 3_000);
    assert.equal(await store.claim({ now: 2_999, leaseUntil: 9_000 }), undefined);
    assert.equal((await claimOf(store, { now: 3_000, leaseUntil: 9_000 })).job.epoch, 3);
  },
  'the claim of a postponed job counts no more': async (store) => {
    const claim = await postponed(store);
    const before = await store.get(ACME, job(1).id);
    await rejects(store.heartbeat(claim, 9_000), 'FENCED');
    await rejects(store.append(claim, [INTENT]), 'FENCED');
    await rejects(store.acquire(claim, [WRITE]), 'FENCED');
    await rejects(store.postpone(claim, 9_000), 'FENCED');
    await rejects(store.finish(claim, SUCCEEDED, ENDED), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), before);
    assert.deepEqual(await store.journal(ACME, job(1).id), []);
  },
  'postpone of a former claim, or of an ended job, is FENCED and changes nothing': async (store) => {
    const { former, current } = await takenOver(store);
    await rejects(store.postpone(former, 9_000), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), current.job);
    await store.finish(current, SUCCEEDED, ENDED);
    const ended = await store.get(ACME, job(1).id);
    await rejects(store.postpone(current, 9_000), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), ended);
  },
  'a postponed job keeps its journal, and goes on with it': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.append(claim, [INTENT]);
    await store.postpone(claim, 5_000);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT]);
    await store.append(await claimOf(store, { now: 5_000, leaseUntil: 9_000 }), [RESULT]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
  },
  'a postponed job loses its leases, and has to take them again': async (store) => {
    await store.enqueue(job(1));
    const first = await claimOf(store);
    assert.equal(await store.acquire(first, [WRITE]), undefined);
    await store.postpone(first, 5_000);
    await store.enqueue(job(2));
    const second = await claimOf(store, { job: job(2).id });
    assert.equal(await store.acquire(second, [WRITE]), undefined);
    const again = await claimOf(store, { now: 5_000, leaseUntil: 9_000, job: job(1).id });
    assert.equal((await store.acquire(again, [WRITE]))?.job, job(2).id);
  },
  'a cancel request for a postponed job is kept for its next claim': async (store) => {
    await postponed(store);
    assert.equal(await store.requestCancel(ACME, job(1).id), true);
    assert.equal((await claimOf(store, { now: 5_000, leaseUntil: 9_000 })).job.cancelRequested, true);
  },
};
