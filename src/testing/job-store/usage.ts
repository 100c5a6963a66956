import assert from 'node:assert/strict';
import type { JobEnd, JobStore, NewJob, UsageRecord } from '../../core/contracts/index.ts';
import {
  ACME,
  type Cases,
  claimOf,
  collect,
  ENDED,
  FAILED,
  INTENT,
  job,
  LARGEST_JSON,
  OTHER,
  rejects,
  sized,
  SUCCEEDED,
} from './fixtures.ts';

const endAt = (at: number): JobEnd => ({ ...ENDED, at });

/** Adds a job, and ends it. */
async function ended(store: JobStore, made: NewJob, at: number): Promise<void> {
  await store.enqueue(made);
  await store.finish(await claimOf(store, { job: made.id }), SUCCEEDED, endAt(at));
}

const jobsOf = (records: readonly UsageRecord[]): string[] => records.map((record) => record.job);

/** When jobs began and ended, and what they used. */
export const usage: Cases = {
  'the first claim is when a job started, and its end when it ended': async (store) => {
    const first = await store.enqueue(job(1));
    assert.deepEqual([first.startedAt, first.endedAt], [undefined, undefined]);
    const claim = await claimOf(store, { now: 1_500 });
    assert.equal(claim.job.startedAt, 1_500);
    await store.postpone(claim, 0);
    const again = await claimOf(store, { now: 1_700 });
    assert.equal(again.job.startedAt, 1_500);
    await store.finish(again, FAILED, endAt(1_900.5));
    const found = await store.get(ACME, job(1).id);
    assert.deepEqual([found?.startedAt, found?.endedAt], [1_500, 1_900.5]);
  },
  'what a job used comes back as it was, with the job and its times': async (store) => {
    await store.enqueue(job(1, { parent: job(9).id }));
    await store.finish(await claimOf(store, { now: 1_500 }), FAILED, ENDED);
    const { id, tenant, actor, operation, createdAt } = job(1);
    const expected: UsageRecord = {
      ...ENDED.usage,
      job: id,
      tenant,
      actor,
      operation,
      parent: job(9).id,
      state: 'failed',
      createdAt,
      startedAt: 1_500,
      endedAt: ENDED.at,
    };
    assert.deepEqual(await collect(store.usage(ACME, {})), [expected]);
  },
  'usage is listed in the order of ends and then of ids, all of it': async (store) => {
    for (let number = 0; number < 250; number += 1) {
      await ended(store, job(number), 1_000 + (number % 3));
    }
    const found = await collect(store.usage(ACME, {}));
    const order = [...found].sort((a, b) => a.endedAt - b.endedAt || (a.job < b.job ? -1 : 1));
    assert.equal(found.length, 250);
    assert.deepEqual(jobsOf(found), jobsOf(order));
  },
  'of a time, usage from its first instant on and before its last': async (store) => {
    for (const number of [1, 2, 3, 4]) await ended(store, job(number), number * 100);
    const inside = await collect(store.usage(ACME, { from: 200, until: 400 }));
    assert.deepEqual(jobsOf(inside), [job(2).id, job(3).id]);
    assert.deepEqual(jobsOf(await collect(store.usage(ACME, { until: 200 }))), [job(1).id]);
    assert.deepEqual(jobsOf(await collect(store.usage(ACME, { from: 400 }))), [job(4).id]);
    assert.deepEqual(await collect(store.usage(ACME, { from: 300, until: 300 })), []);
  },
  'only ended jobs of this tenant have usage': async (store) => {
    await store.enqueue(job(1));
    await ended(store, job(2, { tenant: OTHER }), 100);
    await store.postpone(await claimOf(store, { job: job(1).id }), 0);
    assert.deepEqual(await collect(store.usage(ACME, {})), []);
    assert.deepEqual(jobsOf(await collect(store.usage(OTHER, {}))), [job(2).id]);
  },
  'a worker that may not end a job adds no usage, and none is counted twice': async (store) => {
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const current = await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.finish(former, SUCCEEDED, endAt(1)), 'FENCED');
    assert.deepEqual(await collect(store.usage(ACME, {})), []);
    await store.finish(current, SUCCEEDED, endAt(2));
    await rejects(store.finish(current, SUCCEEDED, endAt(3)), 'FENCED');
    assert.deepEqual(
      (await collect(store.usage(ACME, {}))).map(({ endedAt }) => endedAt),
      [2],
    );
  },
  'an end that is refused leaves neither outcome nor usage': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const result = { x: sized(LARGEST_JSON) };
    await rejects(store.finish(claim, { state: 'succeeded', result }, ENDED), 'LIMIT_EXCEEDED');
    assert.deepEqual(await collect(store.usage(ACME, {})), []);
    await store.append(claim, [INTENT]);
    assert.equal((await store.get(ACME, job(1).id))?.endedAt, undefined);
  },
};
