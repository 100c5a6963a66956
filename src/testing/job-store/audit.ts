import assert from 'node:assert/strict';
import { verifyAudit } from '../../core/audit.ts';
import type {
  AuditEntry,
  AuditRecord,
  JobStore,
  PauseScope,
  ScheduleAdvance,
  TenantId,
} from '../../core/contracts/index.ts';
import {
  ACME,
  type Cases,
  claimOf,
  collect,
  ENDED,
  fired,
  INTENT,
  job,
  LARGEST_JSON,
  missed,
  ODD,
  OTHER,
  plan,
  rejects,
  RESULT,
  schedule,
  sized,
  SUCCEEDED,
  template,
} from './fixtures.ts';

/** An entry that tells its number. */
export const entry = (number: number, changes: Partial<AuditEntry> = {}): AuditEntry => ({
  at: 1_700_000_000_000.5 + number,
  actor: 'ops',
  action: 'job.submitted',
  object: { job: String(number) },
  ...changes,
});

const recordsOf = (store: JobStore, tenant: TenantId | null = ACME): Promise<AuditRecord[]> =>
  collect(store.audit.list(tenant, {}));

const told = async (store: JobStore, tenant: TenantId | null = ACME): Promise<string[]> =>
  (await recordsOf(store, tenant)).map(({ object }) => object.job ?? '');

const FIRED: ScheduleAdvance = {
  to: { next: null, wakeAt: null },
  ticks: [fired(1_000, job(1))],
  job: job(1),
  audit: entry(1),
};

/** Chains of what was done. */
export const audit: Cases = {
  'each tenant and the operators have a chain, which begins with number 1 and has no gap': async (store) => {
    const chains = [ACME, OTHER, null];
    for (const tenant of chains)
      assert.deepEqual(await store.audit.head(tenant), { number: 0, hash: '0'.repeat(64) });
    for (let number = 0; number < 250; number += 1) {
      for (const tenant of chains) await store.audit.append(tenant, entry(number));
    }
    for (const tenant of chains) {
      const records = await recordsOf(store, tenant);
      assert.deepEqual(
        records.map(({ number, object }) => [number, object.job]),
        Array.from({ length: 250 }, (_, at) => [at + 1, String(at)]),
      );
      assert.ok(records.every((record) => record.tenant === tenant));
      const { hash = '' } = records.at(-1) ?? {};
      const head = { number: 250, hash };
      assert.deepEqual(await store.audit.head(tenant), head);
      assert.deepEqual(await verifyAudit(records, { heads: [head] }), { isIntact: true, head });
    }
  },
  'an entry comes back as it was, with what is no text made text': async (store) => {
    const odd = entry(1, {
      actor: ODD,
      action: 'job.ended',
      object: { [ODD]: ODD, job: '\u0000' },
      reason: ODD,
      outcome: { state: 'failed', code: 'NO_SPACE' },
    });
    const added = await store.audit.append(ACME, odd);
    const { tenant, number, previous, hash, ...kept } = added;
    assert.deepEqual([tenant, number, previous, kept], [ACME, 1, '0'.repeat(64), odd]);
    await store.audit.append(ACME, entry(2, { actor: 'half \ud83d', reason: '\udc09' }));
    const records = await recordsOf(store);
    assert.deepEqual(records[0], added);
    assert.deepEqual([records[1]?.actor, records[1]?.reason], ['half \ufffd', '\ufffd']);
    assert.equal(records[1]?.previous, hash);
    assert.equal((await verifyAudit(records)).isIntact, true);
  },
  'of a chain, the records of a time and after a number': async (store) => {
    for (const at of [100, 300, 200, 400.5]) await store.audit.append(ACME, entry(at, { at }));
    const found = async (filter: Parameters<JobStore['audit']['list']>[1]) =>
      (await collect(store.audit.list(ACME, filter))).map(({ at }) => at);
    assert.deepEqual(await found({ from: 200, until: 400.5 }), [300, 200]);
    assert.deepEqual(await found({ until: 200 }), [100]);
    assert.deepEqual(await found({ from: 400.5 }), [400.5]);
    assert.deepEqual(await found({ after: 2 }), [200, 400.5]);
    assert.deepEqual(await found({ after: 2, from: 300 }), [400.5]);
    assert.deepEqual(await found({ after: 4 }), []);
  },
  'a job is told of once, when it is new': async (store) => {
    await store.enqueue(job(1), undefined, { audit: entry(1) });
    await store.enqueue(job(1), undefined, { audit: entry(2) });
    await rejects(store.enqueue(job(1, { tenant: OTHER }), undefined, { audit: entry(3) }), 'ALREADY_EXISTS');
    const large = { x: sized(LARGEST_JSON) };
    await rejects(store.enqueue(job(2, { input: large }), undefined, { audit: entry(4) }), 'LIMIT_EXCEEDED');
    const former = await claimOf(store);
    await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.enqueue(job(3), former, { audit: entry(5) }), 'FENCED');
    assert.deepEqual([await told(store), await told(store, OTHER)], [['1'], []]);
  },
  'an end is told of once, by the worker that may end the job': async (store) => {
    await store.enqueue(job(1));
    const former = await claimOf(store);
    const current = await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.finish(former, SUCCEEDED, { ...ENDED, audit: entry(1) }), 'FENCED');
    const result = { x: sized(LARGEST_JSON) };
    const tooLarge = { state: 'succeeded', result } as const;
    await rejects(store.finish(current, tooLarge, { ...ENDED, audit: entry(2) }), 'LIMIT_EXCEEDED');
    await store.acquire(current, [{ resource: 'volume/a', kind: 'write', excludes: [] }]);
    await store.finish(current, SUCCEEDED, { ...ENDED, audit: entry(3) });
    await rejects(store.finish(current, SUCCEEDED, { ...ENDED, audit: entry(4) }), 'FENCED');
    await store.enqueue(job(2));
    await store.finish(await claimOf(store), SUCCEEDED, { ...ENDED, audit: entry(5) });
    assert.deepEqual(await told(store), ['3', '5']);
  },
  'what the rows of a journal tell is told with them, or not at all': async (store) => {
    await store.enqueue(job(1));
    const former = await claimOf(store);
    await store.append(former, [INTENT], [entry(1)]);
    await rejects(store.append(former, [INTENT], [entry(2)]), 'JOURNAL_MISMATCH');
    const large = { ...RESULT, value: sized(LARGEST_JSON + 1) };
    await rejects(store.append(former, [large], [entry(3)]), 'LIMIT_EXCEEDED');
    const current = await claimOf(store, { now: 2_001, leaseUntil: 3_000 });
    await rejects(store.append(former, [RESULT], [entry(4)]), 'FENCED');
    await store.append(current, [RESULT], [entry(5), entry(6, { notify: ['a'] })]);
    await rejects(store.append(current, [RESULT], [entry(7)]), 'JOURNAL_MISMATCH');
    assert.deepEqual([await told(store), await told(store, OTHER)], [['1', '5', '6'], []]);
    assert.deepEqual(await store.journal(ACME, job(1).id), [INTENT, RESULT]);
    const [waiting] = await collect(store.notifications.list({}));
    assert.deepEqual([waiting?.notifier, waiting?.number], ['a', 3]);
  },
  'a cancel request is told of where it is the first for an open job': async (store) => {
    await store.enqueue(job(1));
    assert.equal(await store.requestCancel(OTHER, job(1).id, entry(1)), false);
    assert.equal(await store.requestCancel(ACME, job(1).id, entry(2)), true);
    assert.equal(await store.requestCancel(ACME, job(1).id, entry(3)), true);
    await store.finish(await claimOf(store), SUCCEEDED, ENDED);
    assert.equal(await store.requestCancel(ACME, job(1).id, entry(4)), false);
    assert.deepEqual([await told(store), await told(store, OTHER)], [['2'], []]);
  },
  'a plan is told of when it is made and when it goes': async (store) => {
    await store.plans.create(plan(1), { audit: entry(1) });
    await rejects(store.plans.create(plan(1), { audit: entry(2) }), 'ALREADY_EXISTS');
    await store.plans.remove(OTHER, plan(1).id, entry(3));
    await store.plans.remove(ACME, plan(1).id, entry(4));
    await store.plans.remove(ACME, plan(1).id, entry(5));
    assert.deepEqual([await told(store), await told(store, OTHER)], [['1', '4'], []]);
  },
  'a template is told of when it says something new and when it goes': async (store) => {
    const { templates } = store;
    await templates.put(template(1), entry(1));
    await templates.put(template(1, { actor: 'other', storedAt: 1 }), entry(2));
    await templates.put(template(1, { description: 'new' }), entry(3));
    await templates.put(template(2), entry(4));
    await templates.remove(OTHER, template(1).name, entry(5));
    await templates.remove(ACME, template(1).name, entry(6));
    await templates.remove(ACME, template(1).name, entry(7));
    await templates.put(template(1, { description: 'new' }), entry(8));
    assert.deepEqual([await told(store), await told(store, OTHER)], [['1', '3', '4', '6', '8'], []]);
  },
  'a schedule is told of when it is made and when it goes': async (store) => {
    await store.schedules.create(schedule(1), { audit: entry(1) });
    await rejects(store.schedules.create(schedule(1), { audit: entry(2) }), 'ALREADY_EXISTS');
    await store.schedules.remove(OTHER, schedule(1).id, entry(3));
    await store.schedules.remove(ACME, schedule(1).id, entry(4));
    await store.schedules.remove(ACME, schedule(1).id, entry(5));
    assert.deepEqual([await told(store), await told(store, OTHER)], [['1', '4'], []]);
  },
  'the job of a tick is told of where the schedule is advanced and the job is new': async (store) => {
    const kept = await store.schedules.create(schedule(1));
    await store.schedules.pause({ kind: 'site', site: 'fra' });
    assert.equal(await store.schedules.advance(kept, FIRED), false);
    await store.schedules.resume({ kind: 'site', site: 'fra' }, 1);
    assert.equal(await store.schedules.advance(kept, FIRED), false);
    const resumed = await store.schedules.get(ACME, kept.id);
    assert.ok(resumed);
    assert.deepEqual(await told(store), []);
    assert.equal(await store.schedules.advance(resumed, FIRED), true);
    const again = { ...FIRED, ticks: [missed(2_000)] };
    assert.equal(await store.schedules.advance({ ...resumed, revision: 2 }, again), true);
    assert.deepEqual(await told(store), ['1']);
    const known = { ...again, job: job(2), audit: entry(2) };
    await rejects(store.schedules.advance({ ...resumed, revision: 3 }, known), 'ALREADY_EXISTS');
    assert.deepEqual(await told(store), ['1']);
  },
  'missed ticks are told of where the schedule is advanced, after the job': async (store) => {
    const kept = await store.schedules.create(schedule(1));
    const both = { ...FIRED, missed: [entry(2), entry(3)] };
    assert.equal(await store.schedules.advance(kept, both), true);
    assert.equal(await store.schedules.advance(kept, { ...both, ticks: [missed(3_000)] }), false);
    assert.deepEqual(await told(store), ['1', '2', '3']);
    const late = { to: FIRED.to, ticks: [missed(2_000)], missed: [entry(4)] };
    assert.equal(await store.schedules.advance({ ...kept, revision: 1 }, late), true);
    await rejects(store.schedules.advance({ ...kept, revision: 2 }, late), 'ALREADY_EXISTS');
    assert.deepEqual(await told(store), ['1', '2', '3', '4']);
  },
  'a pause and its end are told of once, that of a site in the operators’ chain': async (store) => {
    const scopes: PauseScope[] = [
      { kind: 'site', site: 'fra' },
      { kind: 'plan', tenant: ACME, plan: plan(1).id },
      { kind: 'schedule', tenant: ACME, schedule: schedule(1).id },
    ];
    for (const [at, scope] of scopes.entries()) {
      await store.schedules.resume(scope, 1, entry(9));
      await store.schedules.pause(scope, entry(10 + at));
      await store.schedules.pause(scope, entry(9));
      await store.schedules.resume(scope, 1, entry(20 + at));
      await store.schedules.resume(scope, 1, entry(9));
    }
    assert.deepEqual(await told(store, null), ['10', '20']);
    assert.deepEqual(await told(store), ['11', '21', '12', '22']);
  },
  'calls that tell of nothing add no record': async (store) => {
    await store.enqueue(job(1));
    await store.requestCancel(ACME, job(1).id);
    await store.finish(await claimOf(store), SUCCEEDED, ENDED);
    await store.plans.create(plan(1));
    await store.templates.put(template(1));
    await store.templates.remove(ACME, template(1).name);
    assert.deepEqual(await told(store), []);
  },
  'appends at the same time follow one another': async (store) => {
    const all = Array.from({ length: 40 }, (_, number) => number);
    const calls = all.map((number) =>
      number % 2 === 0
        ? store.audit.append(ACME, entry(number))
        : store.enqueue(job(number), undefined, { audit: entry(number) }),
    );
    await Promise.all(calls);
    const records = await recordsOf(store);
    assert.equal((await verifyAudit(records)).isIntact, true);
    assert.deepEqual(new Set(records.map(({ object }) => object.job)), new Set(all.map(String)));
    assert.equal(records.length, all.length);
  },
};
