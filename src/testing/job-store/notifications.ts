import assert from 'node:assert/strict';
import type {
  AuditEntry,
  JobStore,
  NotificationClaim,
  NotificationOutcome,
  NotificationRecord,
} from '../../core/contracts/index.ts';
import { entry } from './audit.ts';
import {
  ACME,
  type Cases,
  claimOf,
  collect,
  ENDED,
  job,
  ODD,
  OTHER,
  rejects,
  SUCCEEDED,
} from './fixtures.ts';

/** An entry of a time that this notifier is to hear of. */
export const heard = (at: number, ...notify: readonly string[]): AuditEntry => entry(at, { at, notify });

const NOW = { now: 1_000, leaseUntil: 2_000 };
const ERROR = { code: 'UNAVAILABLE', message: ODD };
const DELIVERED: NotificationOutcome = { state: 'delivered' };
const dead = (dueAt: number): NotificationOutcome => ({ state: 'dead', dueAt, error: ERROR });
const waiting = (dueAt: number): NotificationOutcome => ({ state: 'waiting', dueAt, error: ERROR });

async function claimed(store: JobStore, notifier = 'a', request = NOW): Promise<NotificationClaim> {
  const claim = await store.notifications.claim({ notifier, ...request });
  assert.ok(claim, 'there was something to deliver, and claim() found nothing');
  return claim;
}

const listed = (store: JobStore): Promise<NotificationRecord[]> => collect(store.notifications.list({}));

/** What is still to be delivered. */
export const notifications: Cases = {
  'a record is to be heard of by those that its entry names, due at its time': async (store) => {
    const told = await store.audit.append(ACME, heard(500, 'a', ODD));
    await store.audit.append(null, heard(600, 'a'));
    await store.audit.append(OTHER, heard(700));
    const waits = { state: 'waiting', attempts: 0 } as const;
    const [operators, first, second, ...rest] = await listed(store);
    assert.deepEqual(operators, { ...waits, tenant: null, number: 1, notifier: 'a', dueAt: 600 });
    const mine = [first, second].map((one) => [one?.tenant, one?.number, one?.notifier, one?.dueAt]);
    assert.deepEqual(
      mine.sort(),
      [
        [ACME, 1, 'a', 500],
        [ACME, 1, ODD, 500],
      ].sort(),
    );
    assert.deepEqual(rest, []);
    const claim = await claimed(store, ODD);
    assert.deepEqual(claim.record, told);
    assert.ok(!('notify' in claim.record));
  },
  'each call that tells adds what is to be heard of it, and one that is refused does not': async (store) => {
    await store.enqueue(job(1), undefined, { audit: heard(1, 'a') });
    await store.enqueue(job(1), undefined, { audit: heard(2, 'a') });
    await rejects(
      store.enqueue(job(1, { tenant: OTHER }), undefined, { audit: heard(3, 'a') }),
      'ALREADY_EXISTS',
    );
    await store.requestCancel(ACME, job(1).id, heard(4, 'a'));
    const claim = await claimOf(store);
    await store.finish(claim, SUCCEEDED, { ...ENDED, audit: heard(5, 'a') });
    await rejects(store.finish(claim, SUCCEEDED, { ...ENDED, audit: heard(6, 'a') }), 'FENCED');
    assert.deepEqual(
      (await listed(store)).map(({ dueAt }) => dueAt),
      [1, 4, 5],
    );
  },
  'the one that was due first is taken, none before its time, and none of another notifier': async (
    store,
  ) => {
    for (const at of [900, 300, 1_000.5, 300]) await store.audit.append(ACME, heard(at, 'a'));
    const taken: number[] = [];
    for (const _ of [1, 2, 3]) taken.push((await claimed(store)).number);
    assert.deepEqual(taken, [2, 4, 1]);
    assert.equal(await store.notifications.claim({ notifier: 'a', ...NOW }), undefined);
    assert.equal(
      await store.notifications.claim({ notifier: 'b', now: 9_000, leaseUntil: 9_001 }),
      undefined,
    );
    assert.equal((await claimed(store, 'a', { now: 1_000.5, leaseUntil: 5_000 })).number, 3);
  },
  'one that was claimed is tried again when the lease has ended, by another epoch': async (store) => {
    await store.audit.append(ACME, heard(1, 'a'));
    const former = await claimed(store);
    assert.deepEqual([former.attempts, former.dueAt], [1, 2_000]);
    assert.equal(
      await store.notifications.claim({ notifier: 'a', now: 1_999, leaseUntil: 3_000 }),
      undefined,
    );
    const current = await claimed(store, 'a', { now: 2_000, leaseUntil: 3_000 });
    assert.deepEqual([current.attempts, current.epoch > former.epoch], [2, true]);
    assert.equal(await store.notifications.settle(former, DELIVERED), false);
    assert.equal(await store.notifications.settle(former, dead(1)), false);
    assert.equal((await listed(store)).length, 1);
    assert.equal(await store.notifications.settle(current, DELIVERED), true);
    assert.equal(await store.notifications.settle(current, DELIVERED), false);
    assert.deepEqual(await listed(store), []);
  },
  'a try that failed waits for its time, and tells why': async (store) => {
    await store.audit.append(ACME, heard(1, 'a', 'b'));
    assert.equal(await store.notifications.settle(await claimed(store), waiting(5_000.5)), true);
    const [found] = await listed(store);
    const key = { tenant: ACME, number: 1, notifier: 'a' };
    assert.deepEqual(found, { ...key, state: 'waiting', attempts: 1, dueAt: 5_000.5, error: ERROR });
    assert.equal(
      await store.notifications.claim({ notifier: 'a', now: 5_000, leaseUntil: 6_000 }),
      undefined,
    );
    assert.equal((await claimed(store, 'a', { now: 5_001, leaseUntil: 6_000 })).attempts, 2);
    assert.equal((await claimed(store, 'b')).attempts, 1);
  },
  'a dead one is never tried, until it is sent again': async (store) => {
    await store.audit.append(ACME, heard(1, 'a'));
    const key = { tenant: ACME, number: 1, notifier: 'a' };
    assert.equal(await store.notifications.resend(key, 1), false);
    const claim = await claimed(store);
    assert.equal(await store.notifications.settle(claim, dead(1)), true);
    assert.equal(
      await store.notifications.claim({ notifier: 'a', now: 9_000, leaseUntil: 9_001 }),
      undefined,
    );
    assert.deepEqual(await collect(store.notifications.list({ state: 'dead' })), await listed(store));
    assert.equal(await store.notifications.resend({ ...key, tenant: OTHER }, 1), false);
    assert.equal(await store.notifications.resend({ ...key, notifier: 'b' }, 1), false);
    assert.equal(await store.notifications.resend(key, 7_000), true);
    assert.equal(await store.notifications.resend(key, 7_000), false);
    assert.equal(await store.notifications.settle(claim, DELIVERED), false);
    assert.equal(
      await store.notifications.claim({ notifier: 'a', now: 6_999, leaseUntil: 9_000 }),
      undefined,
    );
    assert.equal((await claimed(store, 'a', { now: 7_000, leaseUntil: 9_000 })).attempts, 1);
  },
  'those that are asked for are listed, all of them, in order': async (store) => {
    for (let number = 0; number < 120; number += 1) {
      await store.audit.append(ACME, heard(number, 'b', 'a'));
    }
    await store.audit.append(OTHER, heard(1, 'a'));
    await store.notifications.settle(await claimed(store, 'b'), dead(1));
    const all = await listed(store);
    const places = all.map(({ tenant, number, notifier }) => [tenant, number, notifier]);
    const expected = Array.from({ length: 240 }, (_, at) => [ACME, Math.floor(at / 2) + 1, 'ab'[at % 2]]);
    assert.deepEqual(places, [...expected, [OTHER, 1, 'a']]);
    const { list } = store.notifications;
    assert.equal((await collect(list({ tenant: ACME, notifier: 'a' }))).length, 120);
    assert.equal((await collect(list({ tenant: null }))).length, 0);
    assert.equal((await collect(list({ notifier: 'a' }))).length, 121);
    assert.equal((await collect(list({ tenant: ACME, state: 'waiting' }))).length, 239);
  },
};
