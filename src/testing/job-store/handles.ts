import assert from 'node:assert/strict';
import { verifyAudit } from '../../core/audit.ts';
import type { JobStore } from '../../core/contracts/index.ts';
import { entry } from './audit.ts';
import {
  ENDED,
  ACME,
  claimOf,
  collect,
  FAILED,
  fired,
  ids,
  INTENT,
  job,
  missed,
  plan,
  rejects,
  RESULT,
  schedule,
  SUCCEEDED,
  template,
} from './fixtures.ts';

/** Obligations of two open handles on the same data. */
export type HandleCases = Readonly<Record<string, (store: JobStore, second: JobStore) => Promise<void>>>;

/** Two handles on the same data, as two processes have them. */
export const handles: HandleCases = {
  'the installation is the same for all handles, also for those that ask at the same time': async (
    store,
    second,
  ) => {
    const [first, other] = await Promise.all([second.installation(), store.installation()]);
    assert.equal(first, other);
    await store.close();
    assert.equal(await second.installation(), first);
  },
  'what one handle wrote, another one reads': async (store, second) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.append(claim, [INTENT, RESULT]);
    await store.plans.create(plan(1));
    assert.deepEqual(await second.get(ACME, job(1).id), claim.job);
    assert.deepEqual(await second.journal(ACME, job(1).id), [INTENT, RESULT]);
    assert.deepEqual(await collect(second.plans.list(ACME)), [plan(1)]);
    await store.finish(claim, FAILED, ENDED);
    assert.deepEqual((await second.get(ACME, job(1).id))?.outcome, FAILED);
  },
  'of two handles that advance a schedule at the same time one does': async (store, second) => {
    const kept = await store.schedules.create(schedule(1));
    const one = { to: { next: 2_000, wakeAt: 2_000 }, ticks: [missed(1_000)] };
    const advanced = [store, second, second, store].map(({ schedules }) => schedules.advance(kept, one));
    assert.deepEqual((await Promise.all(advanced)).sort(), [false, false, false, true]);
    assert.equal((await second.schedules.get(ACME, kept.id))?.revision, 1);
    assert.deepEqual(await collect(second.schedules.ticks(ACME, kept.id, {})), [missed(1_000)]);
  },
  'a pause by one handle holds for all': async (store, second) => {
    const kept = await store.schedules.create(schedule(1));
    await second.schedules.pause({ kind: 'site', site: 'fra' });
    const fire = { to: { next: null, wakeAt: null }, ticks: [fired(1_000, job(1))], job: job(1) };
    assert.equal(await store.schedules.advance(kept, fire), false);
    assert.equal(await second.get(ACME, job(1).id), undefined);
  },
  'what was written is there after the handle that wrote it is closed': async (store, second) => {
    await store.enqueue(job(1));
    await store.append(await claimOf(store), [INTENT]);
    await store.close();
    assert.equal((await second.get(ACME, job(1).id))?.state, 'running');
    assert.deepEqual(await second.journal(ACME, job(1).id), [INTENT]);
  },
  'two handles take different jobs': async (store, second) => {
    for (const number of [1, 2, 3, 4]) await store.enqueue(job(number));
    const claims = await Promise.all([store, second, store, second].map((handle) => claimOf(handle)));
    assert.deepEqual(
      ids(claims.map((claim) => claim.job)).sort(),
      [1, 2, 3, 4].map((number) => job(number).id),
    );
    assert.equal(await second.claim({ now: 1_000, leaseUntil: 2_000 }), undefined);
  },
  'a job that one handle took over is FENCED for the other': async (store, second) => {
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const current = await claimOf(second, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.heartbeat(former, 9_000), 'FENCED');
    await rejects(store.append(former, [INTENT]), 'FENCED');
    await rejects(store.finish(former, SUCCEEDED, ENDED), 'FENCED');
    assert.deepEqual(await store.get(ACME, job(1).id), current.job);
    await second.append(current, [INTENT]);
    await second.finish(current, SUCCEEDED, ENDED);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT]);
  },
  'a row that another handle wrote is JOURNAL_MISMATCH': async (store, second) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    await store.append(claim, [INTENT]);
    await rejects(second.append(claim, [INTENT]), 'JOURNAL_MISMATCH');
  },
  'a cancel request through one handle reaches the worker at the other': async (store, second) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    assert.equal(await second.requestCancel(ACME, job(1).id), true);
    assert.deepEqual(await store.heartbeat(claim, 2_000), { cancelRequested: true });
  },
  'a lease taken through one handle stands against a job at the other, until it ends': async (
    store,
    second,
  ) => {
    const lease = { resource: 'volume/a', kind: 'write', excludes: ['write'] };
    await store.enqueue(job(1));
    await store.enqueue(job(2));
    const [first, other] = [await claimOf(store), await claimOf(second)];
    assert.equal(await store.acquire(first, [lease]), undefined);
    const holder = { resource: 'volume/a', job: job(1).id, kind: 'write' };
    assert.deepEqual(await second.acquire(other, [lease]), holder);
    await store.finish(first, SUCCEEDED, ENDED);
    assert.equal(await second.acquire(other, [lease]), undefined);
  },
  'leases outlive the handle that took them': async (store, second) => {
    const lease = { resource: 'volume/a', kind: 'write', excludes: ['write'] };
    await store.enqueue(job(1));
    await store.enqueue(job(2));
    assert.equal(await store.acquire(await claimOf(store), [lease]), undefined);
    await store.close();
    assert.equal((await second.acquire(await claimOf(second), [lease]))?.job, job(1).id);
  },
  'a job postponed through one handle is hidden from the other until its time': async (store, second) => {
    await store.enqueue(job(1));
    await store.postpone(await claimOf(store), 5_000);
    assert.equal(await second.claim({ now: 4_999, leaseUntil: 9_000 }), undefined);
    assert.equal((await claimOf(second, { now: 5_000, leaseUntil: 9_000 })).job.epoch, 2);
  },
  'of two handles that append to one chain at the same time neither forks it': async (store, second) => {
    const numbers = Array.from({ length: 30 }, (_, number) => number);
    const calls = numbers.map((number) =>
      number % 2 === 0
        ? store.audit.append(ACME, entry(number))
        : second.enqueue(job(number), undefined, { audit: entry(number) }),
    );
    await Promise.all(calls);
    const [records, others] = [
      await collect(store.audit.list(ACME, {})),
      await collect(second.audit.list(ACME, {})),
    ];
    assert.deepEqual(records, others);
    assert.equal(records.length, numbers.length);
    assert.equal((await verifyAudit(records)).isIntact, true);
    assert.deepEqual(await second.audit.head(ACME), await store.audit.head(ACME));
  },
  'of two handles that add one row of a journal at the same time, one tells of it': async (store, second) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const copy = { job: { ...claim.job } };
    const calls = [store.append(claim, [INTENT], [entry(1)]), second.append(copy, [INTENT], [entry(1)])];
    const ends = await Promise.allSettled(calls);
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await second.append(copy, [RESULT], [entry(2)]);
    await rejects(store.append(claim, [RESULT], [entry(2)]), 'JOURNAL_MISMATCH');
    const records = await collect(store.audit.list(ACME, {}));
    assert.deepEqual(
      records.map(({ object }) => object.job),
      ['1', '2'],
    );
  },
  'of two handles that put one template at the same time, one tells of it': async (store, second) => {
    const handles = [store, second, store, second];
    for (const description of ['first', 'then'])
      await Promise.all(
        handles.map(({ templates }, at) => templates.put(template(1, { description }), entry(at))),
      );
    assert.equal((await collect(store.audit.list(ACME, {}))).length, 2);
  },
  'of two handles that claim what is to be heard, one gets it': async (store, second) => {
    for (const number of [1, 2, 3])
      await store.audit.append(ACME, entry(number, { at: number, notify: ['a'] }));
    const request = { notifier: 'a', now: 1_000, leaseUntil: 2_000 };
    const claims = await Promise.all(
      [store, second, second, store, second].map((one) => one.notifications.claim(request)),
    );
    const numbers = claims.flatMap((claim) => claim?.number ?? []);
    assert.equal(new Set(numbers).size, numbers.length);
    // A host may pass over what another is about to take; the next time it does not.
    for (
      let claim = await store.notifications.claim(request);
      claim;
      claim = await store.notifications.claim(request)
    )
      numbers.push(claim.number);
    assert.deepEqual(numbers.sort(), [1, 2, 3]);
  },
  'a plan name taken through one handle is taken for the other': async (store, second) => {
    await store.plans.create(plan(1));
    await rejects(second.plans.create(plan(2, { name: plan(1).name })), 'ALREADY_EXISTS');
  },
};
