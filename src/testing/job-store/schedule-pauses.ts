import assert from 'node:assert/strict';
import type { PauseScope, ScheduleRecord } from '../../core/contracts/index.ts';
import { ACME, type Cases, collect, fired, job, missed, ODD, OTHER, plan, schedule } from './fixtures.ts';

const SITE: PauseScope = { kind: 'site', site: 'fra' };
const PLAN: PauseScope = { kind: 'plan', tenant: ACME, plan: plan(1).id };
const ONE: PauseScope = { kind: 'schedule', tenant: ACME, schedule: schedule(1).id };

const fire = (kept: ScheduleRecord) => ({ to: kept, ticks: [fired(1_000, job(1))], job: job(1) });

/** Pauses of schedules. */
export const schedulePauses: Cases = {
  'a paused schedule is not advanced with a job, and is without': async (store) => {
    const { schedules } = store;
    for (const scope of [SITE, PLAN, ONE]) {
      const kept = await schedules.create(schedule(1));
      await schedules.pause(scope);
      await schedules.pause(scope);
      assert.deepEqual(await schedules.get(ACME, kept.id), { ...kept, pausedBy: [scope.kind] });
      assert.equal(await schedules.advance(kept, fire(kept)), false);
      assert.equal(await store.get(ACME, job(1).id), undefined);
      assert.equal(await schedules.advance(kept, { to: kept, ticks: [missed(1_000, 'paused')] }), true);
      await schedules.resume(scope, 5_000);
      await schedules.remove(ACME, kept.id);
    }
  },
  'a pause holds for those of its scope alone, also for those that are made later': async ({ schedules }) => {
    await schedules.pause(SITE);
    await schedules.pause(PLAN);
    await schedules.pause(ONE);
    const odd = { kind: 'site', site: ODD } as const;
    await schedules.pause(odd);
    const made = [
      schedule(1),
      schedule(2),
      schedule(3, { plan: plan(2).id }),
      schedule(4, { plan: plan(2).id, site: 'ber' }),
      schedule(1, { tenant: OTHER, site: 'ber' }),
      schedule(6, { tenant: OTHER, site: ODD }),
    ];
    const paused: (readonly string[])[] = [];
    for (const one of made) paused.push((await schedules.create(one)).pausedBy);
    const expected = [['site', 'plan', 'schedule'], ['site', 'plan'], ['site'], [], [], ['site']];
    assert.deepEqual(paused, expected);
    const found = await collect(schedules.pauses());
    assert.deepEqual(new Set(found.map((scope) => JSON.stringify(scope))).size, 4);
    for (const scope of [SITE, PLAN, ONE, odd]) {
      assert.ok(found.some((other) => JSON.stringify(other) === JSON.stringify(scope)));
    }
  },
  'a resume ends one pause, tells when, and refuses what was decided before': async ({ schedules }) => {
    const kept = await schedules.create(schedule(1));
    const elsewhere = await schedules.create(schedule(2, { site: 'ber', plan: plan(2).id }));
    await schedules.pause(SITE);
    await schedules.pause(PLAN);
    await schedules.resume(SITE, 5_000.5);
    const still = await schedules.get(ACME, kept.id);
    assert.deepEqual(still, { ...kept, revision: 1, resumedAt: 5_000.5, pausedBy: ['plan'] });
    await schedules.resume(PLAN, 6_000);
    assert.equal(await schedules.advance(kept, { to: kept, ticks: [missed(1_000)] }), false);
    const resumed = await schedules.get(ACME, kept.id);
    assert.deepEqual(resumed, { ...kept, revision: 2, resumedAt: 6_000 });
    assert.equal(await schedules.advance(resumed, fire(resumed)), true);
    assert.deepEqual(await schedules.get(ACME, elsewhere.id), elsewhere);
    assert.deepEqual(await collect(schedules.pauses()), []);
  },
  'a resume of what is not paused changes nothing': async ({ schedules }) => {
    const kept = await schedules.create(schedule(1));
    await schedules.pause({ kind: 'site', site: 'ber' });
    for (const scope of [SITE, PLAN, ONE]) await schedules.resume(scope, 5_000);
    assert.deepEqual(await schedules.get(ACME, kept.id), kept);
  },
  'the pause of a schedule goes with it': async ({ schedules }) => {
    await schedules.create(schedule(1));
    await schedules.pause(ONE);
    await schedules.remove(ACME, schedule(1).id);
    assert.deepEqual((await schedules.create(schedule(1))).pausedBy, []);
    assert.deepEqual(await collect(schedules.pauses()), []);
  },
};
