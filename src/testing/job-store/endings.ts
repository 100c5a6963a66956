import assert from 'node:assert/strict';
import type { JobOutcome } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  ERROR,
  FAILED,
  INTENT,
  job,
  LARGEST_JSON,
  OTHER,
  rejects,
  sized,
  SUCCEEDED,
} from './fixtures.ts';

/** Cancel requests and outcomes. */
export const endings: Cases = {
  'a cancel request shows in the job, in heartbeats and in later claims': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    assert.equal(await store.requestCancel(ACME, job(1).id), true);
    assert.deepEqual(await store.heartbeat(claim, 2_000), { cancelRequested: true });
    const found = await store.get(ACME, job(1).id);
    assert.deepEqual([found?.state, found?.cancelRequested], ['running', true]);
    assert.equal((await claimOf(store, { now: 2_001, leaseUntil: 3_000 })).job.cancelRequested, true);
  },
  'a queued job takes a cancel request and is still claimed; a repeat is true': async (store) => {
    await store.enqueue(job(1));
    assert.equal(await store.requestCancel(ACME, job(1).id), true);
    assert.equal(await store.requestCancel(ACME, job(1).id), true);
    assert.equal((await claimOf(store)).job.cancelRequested, true);
  },
  'a cancel request for an ended, an unknown or another tenant’s job is false': async (store) => {
    await store.enqueue(job(1));
    await store.enqueue(job(2));
    await store.finish(await claimOf(store), SUCCEEDED, ENDED);
    const ended = await store.get(ACME, job(1).id);
    assert.equal(await store.requestCancel(ACME, job(1).id), false);
    assert.equal(await store.requestCancel(ACME, job(99).id), false);
    assert.equal(await store.requestCancel(OTHER, job(2).id), false);
    assert.deepEqual(await store.get(ACME, job(1).id), ended);
    assert.equal((await store.get(ACME, job(2).id))?.cancelRequested, false);
  },
  'every outcome comes back as it was': async (store) => {
    const outcomes: JobOutcome[] = [SUCCEEDED, FAILED, { state: 'cancelled', error: ERROR }];
    for (const [at, outcome] of outcomes.entries()) {
      await store.enqueue(job(at));
      await store.finish(await claimOf(store), outcome, ENDED);
      const found = await store.get(ACME, job(at).id);
      assert.deepEqual([found?.state, found?.outcome], [outcome.state, outcome]);
    }
  },
  'a result of 256 KiB as JSON is kept': async (store) => {
    await store.enqueue(job(1));
    const result = { x: sized(LARGEST_JSON - '{"x":}'.length) };
    await store.finish(await claimOf(store), { state: 'succeeded', result }, ENDED);
    assert.deepEqual((await store.get(ACME, job(1).id))?.outcome, { state: 'succeeded', result });
  },
  'an error given as an Error keeps its message': async (store) => {
    await store.enqueue(job(1));
    const error = new FafnirError('NO_SPACE', 'the disk is full');
    await store.finish(await claimOf(store), { state: 'failed', error }, ENDED);
    const { code, message, retryable, hint } = error;
    const expected = { state: 'failed', error: { code, message, retryable, hint } };
    assert.deepEqual((await store.get(ACME, job(1).id))?.outcome, expected);
  },
  'finish is final: nothing more is written, and the first outcome stays': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.finish(claim, SUCCEEDED, ENDED);
    await rejects(store.finish(claim, FAILED, ENDED), 'FENCED');
    await rejects(store.append(claim, [INTENT]), 'FENCED');
    await rejects(store.heartbeat(claim, 5_000), 'FENCED');
    assert.deepEqual((await store.get(ACME, job(1).id))?.outcome, SUCCEEDED);
    assert.deepEqual(await store.journal(ACME, job(1).id), []);
  },
};
