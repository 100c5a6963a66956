import assert from 'node:assert/strict';
import { entry } from './audit.ts';
import {
  ENDED,
  type Cases,
  ACME,
  claimOf,
  codeOf,
  collect,
  INTENT,
  job,
  plan,
  rejects,
  schedule,
  SUCCEEDED,
  template,
} from './fixtures.ts';

/** The end of a store. */
export const closing: Cases = {
  'a closed store rejects every call with CLOSED, also when closed twice': async (store) => {
    await store.enqueue(job(1));
    const claim = await claimOf(store);
    const kept = await store.schedules.create(schedule(1));
    const record = await store.audit.append(ACME, entry(1, { notify: ['a'] }));
    const { tenant, number } = record;
    const heard = {
      tenant,
      number,
      notifier: 'a',
      state: 'waiting',
      attempts: 1,
      dueAt: 1,
      epoch: 1,
      record,
    } as const;
    await store.close();
    await store.close();
    const { id } = job(1);
    const scope = { kind: 'site', site: 'fra' } as const;
    const calls: Record<string, Promise<unknown>> = {
      enqueue: store.enqueue(job(2)),
      claim: store.claim({ now: 0, leaseUntil: 1 }),
      heartbeat: store.heartbeat(claim, 5_000),
      acquire: store.acquire(claim, []),
      postpone: store.postpone(claim, 5_000),
      append: store.append(claim, [INTENT]),
      journal: store.journal(ACME, id),
      finish: store.finish(claim, SUCCEEDED, ENDED),
      requestCancel: store.requestCancel(ACME, id),
      get: store.get(ACME, id),
      list: collect(store.list(ACME, {})),
      tenants: collect(store.tenants()),
      installation: store.installation(),
      'plans.create': store.plans.create(plan(1)),
      'plans.get': store.plans.get(ACME, plan(1).id),
      'plans.list': collect(store.plans.list(ACME)),
      'plans.remove': store.plans.remove(ACME, plan(1).id),
      'templates.put': store.templates.put(template(1)),
      'templates.get': store.templates.get(ACME, template(1).name),
      'templates.list': collect(store.templates.list(ACME)),
      'templates.remove': store.templates.remove(ACME, template(1).name),
      'schedules.create': store.schedules.create(schedule(2)),
      'schedules.get': store.schedules.get(ACME, kept.id),
      'schedules.list': collect(store.schedules.list(ACME)),
      'schedules.remove': store.schedules.remove(ACME, kept.id),
      'schedules.earliest': store.schedules.earliest(1),
      'schedules.advance': store.schedules.advance(kept, { to: kept, ticks: [] }),
      'schedules.ticks': collect(store.schedules.ticks(ACME, kept.id, {})),
      'schedules.event': store.schedules.event(ACME, kept.id, 'e'),
      'schedules.pause': store.schedules.pause(scope),
      'schedules.resume': store.schedules.resume(scope, 1),
      'schedules.pauses': collect(store.schedules.pauses()),
      'audit.append': store.audit.append(ACME, entry(1)),
      'audit.list': collect(store.audit.list(ACME, {})),
      'audit.head': store.audit.head(null),
      'notifications.claim': store.notifications.claim({ notifier: 'a', now: 1, leaseUntil: 2 }),
      'notifications.settle': store.notifications.settle(heard, { state: 'delivered' }),
      'notifications.list': collect(store.notifications.list({})),
      'notifications.resend': store.notifications.resend(heard, 1),
    };
    const codes = Object.entries(calls).map(async ([name, call]) => [name, await codeOf(call)]);
    assert.deepEqual(
      await Promise.all(codes),
      Object.keys(calls).map((name) => [name, 'CLOSED']),
    );
  },
  'a store that was never used can be closed': async (store) => {
    await store.close();
    await rejects(store.get(ACME, job(1).id), 'CLOSED');
  },
  'disposing closes': async (store) => {
    await store[Symbol.asyncDispose]();
    await rejects(store.enqueue(job(1)), 'CLOSED');
  },
};
