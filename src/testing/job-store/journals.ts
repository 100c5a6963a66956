import assert from 'node:assert/strict';
import type { Json, StepRow } from '../../core/contracts/index.ts';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  INTENT,
  job,
  LARGEST_JSON,
  ODD,
  OTHER,
  rejects,
  RESULT,
  sized,
  SUCCEEDED,
  takenOver,
} from './fixtures.ts';

/** The step journal. */
export const journals: Cases = {
  'the journal of a job without rows, or of an unknown job, is empty': async (store) => {
    await store.enqueue(job(1));
    assert.deepEqual(await store.journal(ACME, job(1).id), []);
    assert.deepEqual(await store.journal(ACME, job(99).id), []);
  },
  'another tenant sees no journal of the job': async (store) => {
    await store.enqueue(job(1));
    await store.append(await claimOf(store), [INTENT, RESULT]);
    assert.deepEqual(await store.journal(OTHER, job(1).id), []);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
  },
  'an intent, then its result, come back in the order they were written': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.append(claim, [INTENT]);
    await store.append(claim, [RESULT]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
  },
  'a result needs no intent, and rows keep their order whatever their names': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const rows = ['c', 'a', ODD, 'B', '10', '9', ''].map((step) => result(step, { of: step }));
    await store.append(claim, rows.slice(0, 3));
    await store.append(claim, rows.slice(3));
    assert.deepEqual(await store.journal(ACME, job(1).id), rows);
  },
  'every kind of JSON value comes back as it was': async (store) => {
    await store.enqueue(job(1));
    const values: Json[] = [null, true, 0, -1.5e300, '', ODD, [], [[null]], {}, { [ODD]: { deep: [1] } }];
    const rows = values.map((value, at) => result(`step ${at}`, value));
    await store.append(await claimOf(store), rows);
    assert.deepEqual(await store.journal(ACME, job(1).id), rows);
  },
  'the input of a step comes back with its intent and its result, and stays out where there is none': async (
    store,
  ) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const input = '0123456789abcdef'.repeat(2);
    const rows: StepRow[] = [{ ...INTENT, input }, { ...RESULT, input }, result('without', 1)];
    await store.append(claim, rows);
    await store.append(claim, [{ step: 'later', kind: 'intent' }]);
    const journal = await store.journal(ACME, job(1).id);
    assert.deepEqual(journal, [...rows, { step: 'later', kind: 'intent' }]);
    const given = journal.map((row) => Object.hasOwn(row, 'input'));
    assert.deepEqual(given, [true, true, false, false]);
  },
  'a row that exists already is JOURNAL_MISMATCH, also with another input': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const before = { ...INTENT, input: '0'.repeat(32) };
    await store.append(claim, [before]);
    await rejects(store.append(claim, [{ ...INTENT, input: '1'.repeat(32) }]), 'JOURNAL_MISMATCH');
    await rejects(store.append(claim, [INTENT]), 'JOURNAL_MISMATCH');
    assert.deepEqual(await store.journal(ACME, job(1).id), [before]);
  },
  'a batch of a thousand rows is kept, in order': async (store) => {
    await store.enqueue(job(1));
    const rows = Array.from({ length: 1_000 }, (_, at) => result(`step ${(at * 7) % 1_000}`, at));
    await store.append(await claimOf(store), rows);
    assert.deepEqual(await store.journal(ACME, job(1).id), rows);
  },
  'a row that exists already is JOURNAL_MISMATCH, and none of its batch is added': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.append(claim, [INTENT, RESULT]);
    for (const row of [INTENT, RESULT]) {
      await rejects(store.append(claim, [result('before', 1), row, result('after', 1)]), 'JOURNAL_MISMATCH');
      assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
    }
    await store.append(claim, [result('before', 1)]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT, result('before', 1)]);
  },
  'a row twice in one batch is JOURNAL_MISMATCH, and none is added': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await rejects(store.append(claim, [result('a', 1), INTENT, INTENT]), 'JOURNAL_MISMATCH');
    assert.deepEqual(await store.journal(ACME, job(1).id), []);
  },
  'the same step in two jobs is two steps': async (store) => {
    await store.enqueue(job(1));
    await store.enqueue(job(2));
    await store.append(await claimOf(store), [INTENT]);
    await store.append(await claimOf(store), [INTENT, RESULT]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT]);
    assert.deepEqual(await store.journal(ACME, job(2).id), [INTENT, RESULT]);
  },
  'no rows are fine for the claim that counts, and FENCED for a former one': async (store) => {
    const { former, current } = await takenOver(store);
    await store.append(current, []);
    await rejects(store.append(former, []), 'FENCED');
  },
  'the journal survives a new claim, which goes on with it': async (store) => {
    await store.enqueue(job(1));
    await store.append(await claimOf(store), [INTENT]);
    const claim = await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.append(claim, [INTENT]), 'JOURNAL_MISMATCH');
    await store.append(claim, [RESULT]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
  },
  'the journal of an ended job stays': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.append(claim, [INTENT, RESULT]);
    await store.finish(claim, SUCCEEDED, ENDED);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
  },
  'journal rows are copies: changing what was given or returned changes nothing': async (store) => {
    await store.enqueue(job(1));
    const value = { list: ['kept'] };
    const row = { step: 'a', kind: 'result', value } as const;
    await store.append(await claimOf(store), [row]);
    value.list.push('after append');
    const [returned] = await store.journal(ACME, job(1).id);
    Object.assign(returned ?? {}, { step: 'changed' });
    assert.deepEqual(await store.journal(ACME, job(1).id), [result('a', { list: ['kept'] })]);
  },
  'a value of 256 KiB as JSON is kept': async (store) => {
    await store.enqueue(job(1));
    const row = result('large', sized(LARGEST_JSON));
    await store.append(await claimOf(store), [row]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [row]);
  },
  'a value of one byte more is LIMIT_EXCEEDED, and none of its batch is added': async (store) => {
    await store.enqueue(job(1));
    const rows = [result('small', 1), result('large', sized(LARGEST_JSON + 1))];
    await rejects(store.append(await claimOf(store), rows), 'LIMIT_EXCEEDED');
    assert.deepEqual(await store.journal(ACME, job(1).id), []);
  },
};

function result(step: string, value: Json): StepRow {
  return { step, kind: 'result', value };
}
