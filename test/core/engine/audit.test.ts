import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import type { AnchoredHead, AuditRecord, PlanId, Session } from '../../../src/index.ts';
import { verifyAudit } from '../../../src/audit.ts';
import { createEngine } from '../../../src/index.ts';
import { sqliteStore } from '../../../src/stores/sqlite.ts';
import { SHOP, temporaryDirectory, writeShop } from './application.ts';
import { direct, type Tap } from './taps.ts';
import { all, failure, openWorld, protect, providersIn } from './world.ts';

const lastOf = async ({ audit }: { audit: Session['audit'] }, count: number): Promise<AuditRecord[]> =>
  (await all(audit())).slice(-count);

/** What of records does not depend on time and chance. */
const plain = (records: readonly AuditRecord[]) =>
  records.map(({ actor, action, object, reason, outcome }) => ({
    actor,
    action,
    object,
    ...(reason !== undefined && { reason }),
    ...(outcome && { outcome }),
  }));

it('tells who asked for what and why, and how it ended', async () => {
  await using world = await openWorld();
  const { acme, engine, plan } = world;
  const audit = (count: number) => lastOf({ audit: () => acme.audit() }, count).then(plain);
  const ops = 'test';
  expect(await audit(9)).toEqual([
    { actor: ops, action: 'plan.created', object: { plan: plan.id, provider: 'gold' } },
  ]);

  const checkpoint = await protect(world);
  const about = { job: checkpoint, operation: 'protect', plan: plan.id };
  const succeeded = { state: 'succeeded' };
  expect(await audit(3)).toEqual([
    { actor: ops, action: 'job.submitted', object: about },
    {
      actor: ops,
      action: 'checkpoint.committed',
      object: { job: checkpoint, plan: plan.id, checkpoint, provider: 'gold', state: 'available' },
    },
    {
      actor: ops,
      action: 'job.ended',
      object: { ...about, checkpoint, provider: 'gold' },
      outcome: succeeded,
    },
  ]);

  const legal = engine.for({ tenant: 'acme', actor: 'legal' });
  const hold = await legal.hold(checkpoint, { reason: 'case 7' });
  await hold.result();
  const refused = await acme.remove(checkpoint, { reason: 'no longer needed' });
  const { code } = await failure(() => refused.result());
  const lifted = await legal.lift(checkpoint, hold.id, { reason: 'case 7 is closed' });
  await lifted.result();
  const removed = await acme.run(await acme.preview.remove(checkpoint), { reason: 'again' });
  await removed.result();
  const rest = { checkpoint, plan: plan.id, provider: 'gold' };
  const asked = { job: removed.id, operation: 'remove', checkpoint };
  const lift = { job: lifted.id, operation: 'lift', hold: hold.id, checkpoint };
  expect(await audit(8)).toEqual([
    {
      actor: 'legal',
      action: 'job.submitted',
      object: { job: hold.id, operation: 'hold', checkpoint },
      reason: 'case 7',
    },
    {
      actor: 'legal',
      action: 'job.ended',
      object: { job: hold.id, operation: 'hold', ...rest },
      outcome: succeeded,
    },
    {
      actor: ops,
      action: 'job.submitted',
      object: { ...asked, job: refused.id },
      reason: 'no longer needed',
    },
    {
      actor: ops,
      action: 'job.ended',
      object: { ...asked, job: refused.id },
      outcome: { state: 'failed', code },
    },
    { actor: 'legal', action: 'job.submitted', object: lift, reason: 'case 7 is closed' },
    { actor: 'legal', action: 'job.ended', object: { ...lift, ...rest }, outcome: succeeded },
    { actor: ops, action: 'job.submitted', object: asked, reason: 'again' },
    { actor: ops, action: 'job.ended', object: { ...asked, ...rest }, outcome: succeeded },
  ]);

  await acme.plans.remove('none' as PlanId);
  await acme.plans.remove(plan.id, { reason: 'sold' });
  expect(await audit(1)).toEqual([
    { actor: ops, action: 'plan.removed', object: { plan: plan.id }, reason: 'sold' },
  ]);

  const records = await all(acme.audit());
  expect(records.map(({ number }) => number)).toEqual(records.map((_, at) => at + 1));
  expect(records.every(({ tenant }) => tenant === 'acme')).toBe(true);
  const { installation, ...head } = await acme.auditHead();
  expect(await verifyAudit(acme.audit(), { heads: [head] })).toEqual({ isIntact: true, head });
  const after = records[4] as AuditRecord;
  expect(await verifyAudit(acme.audit({ after: 5 }), { after, heads: [head] })).toMatchObject({
    isIntact: true,
  });
  expect(await all(acme.audit({ from: after.at, until: after.at }))).toEqual([]);
  expect(await all(engine.audit({ tenant: 'acme', after: 5 }))).toEqual(records.slice(5));
  expect(await engine.auditHead({ tenant: 'acme' })).toEqual({ installation, ...head });
  expect(await all(engine.for({ tenant: 'other', actor: 'x' }).audit())).toEqual([]);
});

it('tells of each way to ask for a job once, and nothing of its parts', async () => {
  await using world = await openWorld();
  const { acme, plan } = world;
  const checkpoint = await protect(world);
  const jobs = [
    await acme.run(await acme.preview.protect(plan.id), { reason: 'r1' }),
    await acme.verify(checkpoint, { reason: 'r2' }),
    await acme.restore(checkpoint, { to: 'silver', reason: 'r3' }),
    await acme.archive(checkpoint, { reason: 'r4' }),
    await acme.retain(plan.id, { policy: { archive: { last: 1 } }, reason: 'r5' }),
    await acme.collect({ provider: 'gold', reason: 'r6' }),
  ];
  for (const job of jobs) await job.result();
  const records = await all(acme.audit({ after: 4 }));
  const asked = records.filter(({ action }) => action === 'job.submitted');
  expect(asked.map(({ object, reason }) => [object.job, object.operation, reason])).toEqual(
    jobs.map(({ id }, at) => [
      id,
      ['protect', 'verify', 'restore', 'archive', 'retain', 'collect'][at],
      `r${at + 1}`,
    ]),
  );
  expect(asked[2]?.object).toMatchObject({ to: 'silver', checkpoint });
  expect(asked[5]?.object).toMatchObject({ bank: expect.any(String) });
  const ended = records.filter(({ action }) => action === 'job.ended');
  expect(ended.map(({ object }) => object.job).sort()).toEqual(jobs.map(({ id }) => id).sort());
  const committed = records.filter(({ action }) => action === 'checkpoint.committed');
  expect(committed.map(({ object }) => object.job)).toEqual([jobs[0]?.id]);
  expect(records).toHaveLength(13);
});

it('tells of the one who cancels, and once however often that is asked for', async () => {
  let release = (): void => undefined;
  const stuck = new Promise<void>((resolve) => {
    release = resolve;
  });
  let tap: Tap = direct;
  await using world = await openWorld({ tap: (...call) => tap(...call) });
  const { acme, plan, engine } = world;
  tap = async (_what, run, signal) => {
    await Promise.race([stuck, new Promise((resolve) => signal?.addEventListener('abort', resolve))]);
    return run();
  };
  const stop = new AbortController();
  const job = await acme.protect(plan.id, { signal: stop.signal });
  const night = engine.for({ tenant: 'acme', actor: 'night shift' });
  const cancelled = night.jobs.handle(job.id).cancel({ reason: 'wrong plan' });
  release();
  expect(await cancelled).toBe(true);
  stop.abort();
  expect(await acme.jobs.handle(job.id).cancel()).toBe(false);
  const told = plain(await all(acme.audit({ after: 2 })));
  expect(told).toEqual([
    {
      actor: 'night shift',
      action: 'job.cancel-requested',
      object: { job: job.id },
      reason: 'wrong plan',
    },
    expect.objectContaining({
      actor: 'test',
      action: 'job.ended',
      outcome: { state: 'cancelled', code: 'CANCELLED' },
    }),
  ]);
});

it('tells of schedules, of who fires them, and of those who pause them', async () => {
  await using world = await openWorld();
  const { acme, plan, engine } = world;
  const { id } = await acme.schedules.create({ plan: plan.id }, { reason: 'by event' });
  const host = engine.for({ tenant: 'acme', actor: 'host' });
  await acme.schedules.pause({ schedule: id }, { reason: 'upgrade' });
  await acme.schedules.resume({ schedule: id });
  await engine.schedules.pause({ tenant: 'acme', plan: plan.id }, { actor: 'carol', reason: 'incident' });
  await engine.schedules.resume({ tenant: 'acme', plan: plan.id });
  await engine.schedules.pause({ site: 'a' }, { actor: 'carol' });
  await host.schedules.fire(id, { event: 'too early', reason: 'in vain' });
  await engine.schedules.resume({ site: 'a' }, { actor: 'carol', reason: 'over' });
  const tick = await host.schedules.fire(id, { event: 'disk added', reason: 'bigger' });
  await host.schedules.fire(id, { event: 'disk added' });
  const job = 'job' in tick ? tick.job : undefined;
  await acme.jobs.handle(job as never).result();
  await acme.schedules.remove(id);
  expect(plain(await all(acme.audit({ after: 1 })))).toEqual([
    {
      actor: 'test',
      action: 'schedule.created',
      object: { schedule: id, plan: plan.id, operation: 'protect' },
      reason: 'by event',
    },
    { actor: 'test', action: 'schedule.paused', object: { schedule: id }, reason: 'upgrade' },
    { actor: 'test', action: 'schedule.resumed', object: { schedule: id } },
    { actor: 'carol', action: 'schedule.paused', object: { plan: plan.id }, reason: 'incident' },
    { actor: 'operator', action: 'schedule.resumed', object: { plan: plan.id } },
    {
      actor: 'host',
      action: 'schedule.missed',
      object: expect.objectContaining({ schedule: id, plan: plan.id, missed: 'paused', ticks: '1' }),
      reason: 'in vain',
    },
    {
      actor: 'host',
      action: 'job.submitted',
      object: { job, operation: 'protect', plan: plan.id, schedule: id },
      reason: 'bigger',
    },
    expect.objectContaining({ actor: 'test', action: 'checkpoint.committed' }),
    expect.objectContaining({ actor: 'test', action: 'job.ended', outcome: { state: 'succeeded' } }),
    { actor: 'test', action: 'schedule.removed', object: { schedule: id } },
  ]);
  expect(plain(await all(engine.audit({ tenant: null })))).toEqual([
    { actor: 'carol', action: 'schedule.paused', object: { site: 'a' } },
    { actor: 'carol', action: 'schedule.resumed', object: { site: 'a' }, reason: 'over' },
  ]);
});

it('tells that somebody reconciles, before anything is removed', async () => {
  await using world = await openWorld();
  const { acme, engine } = world;
  await acme.reconcile({ reason: 'after the crash' });
  await engine.reconcile({ actor: 'carol' });
  await engine.reconcile({ provider: 'gold', reason: 'monthly' });
  await engine.reconcile({ provider: 'gold', preview: true });
  expect(plain(await all(acme.audit({ after: 1 })))).toEqual([
    { actor: 'test', action: 'reconcile.started', object: {}, reason: 'after the crash' },
  ]);
  expect(plain(await all(engine.audit({ tenant: null })))).toEqual([
    { actor: 'carol', action: 'reconcile.started', object: {} },
    { actor: 'operator', action: 'reconcile.started', object: { provider: 'gold' }, reason: 'monthly' },
  ]);
});

it('keeps its head in the bank with each checkpoint, so that the bank tells of a store that was tampered with', async () => {
  await using directory = await temporaryDirectory();
  await writeShop(join(directory.path, 'a'));
  const file = join(directory.path, 'fafnir.db');
  const providers = Object.values(providersIn(directory.path));
  const open = () => createEngine({ store: sqliteStore(file), providers });
  const verdictOf = async (acme: Session) => {
    const { installation } = await acme.auditHead();
    const heads: AnchoredHead[] = [];
    for await (const checkpoint of acme.checkpoints.list())
      if ('audit' in checkpoint && checkpoint.audit.installation === installation)
        heads.push(checkpoint.audit);
    return { heads, verdict: await verifyAudit(acme.audit(), { heads }) };
  };
  {
    await using engine = await open();
    const acme = engine.for({ tenant: 'acme', actor: 'test' });
    const plan = await acme.plans.create({ name: 'shop', provider: 'gold', resources: SHOP });
    for (const _ of [1, 2]) await (await acme.protect(plan.id)).result();
    const { heads, verdict } = await verdictOf(acme);
    expect(heads.map(({ number }) => number)).toEqual([2, 5]);
    expect(verdict).toMatchObject({ isIntact: true, head: { number: 7 } });
    const [first] = await all(acme.checkpoints.list());
    expect((await acme.checkpoints.get(first?.id as never)).commit.audit).toEqual(heads[0]);
  }
  const tampered = async (sql: string) => {
    using database = new DatabaseSync(file);
    database.exec(sql);
    await using engine = await open();
    return (await verdictOf(engine.for({ tenant: 'acme', actor: 'test' }))).verdict;
  };
  expect(await tampered('DELETE FROM audit WHERE number > 5')).toMatchObject({ isIntact: true });
  expect(await tampered('DELETE FROM audit WHERE number > 3')).toEqual({
    isIntact: false,
    number: 4,
    fault: 'ended',
  });
  await using store = sqliteStore(file);
  const entry = { at: 1, actor: 'somebody else', action: 'plan.created', object: {} } as const;
  for (const _ of [4, 5]) await store.audit.append('acme' as never, entry);
  expect(await tampered('SELECT 1')).toEqual({ isIntact: false, number: 5, fault: 'head' });
});

it('goes on in the chain when the engine starts again', async () => {
  await using directory = await temporaryDirectory();
  const open = () =>
    createEngine({
      store: sqliteStore(join(directory.path, 'fafnir.db')),
      providers: Object.values(providersIn(directory.path)),
      worker: false,
    });
  for (const name of ['one', 'two']) {
    await using engine = await open();
    const acme = engine.for({ tenant: 'acme', actor: name });
    await acme.plans.create({ name, provider: 'gold', resources: SHOP });
  }
  await using engine = await open();
  const records = await all(engine.audit({ tenant: 'acme' }));
  expect(records.map(({ number, actor }) => [number, actor])).toEqual([
    [1, 'one'],
    [2, 'two'],
  ]);
  expect((await verifyAudit(records)).isIntact).toBe(true);
});

it('refuses what is no reason, no actor, no time and no tenant, before anything is done', async () => {
  await using world = await openWorld();
  const { acme, engine, plan } = world;
  const bad = { reason: '' };
  const long = { reason: 'x'.repeat(1_001) };
  const calls: readonly (() => unknown)[] = [
    () => acme.protect(plan.id, bad),
    () => acme.adopt(plan.id, { ...long, ownership: 'ours' } as never),
    () => acme.restore('c' as never, { to: 'silver', ...bad }),
    () => acme.plans.create({ name: 'other', provider: 'gold', resources: SHOP }, bad),
    () => acme.plans.remove(plan.id, long),
    () => acme.schedules.create({ plan: plan.id }, bad),
    () => acme.schedules.pause({ plan: plan.id }, bad),
    () => acme.schedules.resume({ plan: plan.id }, { why: 'x' } as never),
    () => acme.jobs.handle('j' as never).cancel(bad),
    () => acme.reconcile(bad),
    () => engine.reconcile(long),
    () => engine.reconcile({ provider: 'gold', actor: '' }),
    () => engine.schedules.pause({ site: 'a' }, { actor: '' }),
    () => all(acme.audit({ after: -1 })),
    () => all(acme.audit({ from: 'yesterday' } as never)),
    () => all(engine.audit({} as never)),
  ];
  for (const call of calls) expect((await failure(call)).code).toBe('INVALID_OPTIONS');
  expect((await failure(() => all(engine.audit({ tenant: '' })))).code).toBe('INVALID_ID');
  expect((await failure(() => engine.auditHead({ tenant: '../x' }))).code).toBe('INVALID_ID');
  expect(await all(acme.audit())).toHaveLength(1);
  expect(await all(engine.audit({ tenant: null }))).toEqual([]);
  expect(await all(acme.plans.list())).toEqual([plan]);
});
