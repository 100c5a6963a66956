import assert from 'node:assert/strict';
import type { NewSchedule, ScheduleTick } from '../../core/contracts/index.ts';
import { KEPT_TICKS } from '../../core/kept-ticks.ts';
import {
  ACME,
  type Cases,
  collect,
  ERROR,
  fired,
  ids,
  job,
  LARGEST_JSON,
  missed,
  ODD,
  OTHER,
  rejects,
  schedule,
  sized,
} from './fixtures.ts';

const FRESH = { revision: 0, lastJob: null, resumedAt: 0, pausedBy: [] };
const NEVER = { next: null, wakeAt: null };

/** Schedules and their ticks. */
export const schedules: Cases = {
  'a schedule comes back as it was': async ({ schedules }) => {
    const every: NewSchedule[] = [
      schedule(1),
      schedule(2, {
        ...NEVER,
        when: null,
        site: ODD,
        actor: ODD,
        operation: { name: 'verify', options: { level: 'tags', [ODD]: [1.5, null, { a: true }] } },
        missed: 'catch-up',
        overlap: 'queue',
      }),
      schedule(3, {
        when: { rrule: 'FREQ=DAILY', timeZone: 'UTC', start: 1, end: 2 },
        operation: { name: 'collect', options: {} },
        missed: 'skip',
        overlap: 'cancel-older',
        jitterMilliseconds: 7,
      }),
    ];
    for (const one of every) assert.deepEqual(await schedules.create(one), { ...one, ...FRESH });
    assert.deepEqual(
      await collect(schedules.list(ACME)),
      every.map((one) => ({ ...one, ...FRESH })),
    );
    assert.deepEqual(await schedules.get(ACME, schedule(2).id), { ...every[1], ...FRESH });
  },
  'a second schedule of the same id is ALREADY_EXISTS, and changes nothing': async ({ schedules }) => {
    const kept = await schedules.create(schedule(1));
    await rejects(schedules.create(schedule(1, { site: 'ber' })), 'ALREADY_EXISTS');
    assert.deepEqual(await collect(schedules.list(ACME)), [kept]);
  },
  'another tenant cannot see, list, advance or remove a schedule': async ({ schedules }) => {
    const kept = await schedules.create(schedule(1));
    const theirs = { ...kept, tenant: OTHER };
    assert.equal(await schedules.get(OTHER, kept.id), undefined);
    assert.deepEqual(await collect(schedules.list(OTHER)), []);
    assert.equal(await schedules.advance(theirs, { to: NEVER, ticks: [missed(1_000)] }), false);
    await schedules.remove(OTHER, kept.id);
    assert.deepEqual(await schedules.get(ACME, kept.id), kept);
    assert.deepEqual(await collect(schedules.ticks(OTHER, kept.id, {})), []);
  },
  'a removed schedule is gone with its ticks, its job stays, and removing it again is success': async (
    store,
  ) => {
    const { schedules } = store;
    const kept = await schedules.create(schedule(1));
    await schedules.advance(kept, { to: kept, ticks: [fired(1_000, job(1))], job: job(1) });
    await schedules.remove(ACME, kept.id);
    await schedules.remove(ACME, kept.id);
    assert.equal(await schedules.get(ACME, kept.id), undefined);
    assert.deepEqual(await collect(schedules.ticks(ACME, kept.id, {})), []);
    assert.deepEqual(await schedules.earliest(10), []);
    assert.equal((await store.get(ACME, job(1).id))?.state, 'queued');
    assert.equal(await schedules.advance(kept, { to: NEVER, ticks: [], job: job(2) }), false);
    assert.equal(await store.get(ACME, job(2).id), undefined);
    assert.deepEqual(await schedules.create(schedule(1)), kept);
  },
  'list of schedules is in ascending order of id over more than one page': async ({ schedules }) => {
    const numbers = Array.from({ length: 250 }, (_, at) => (at * 77) % 250);
    for (const number of numbers) await schedules.create(schedule(number));
    const expected = numbers.sort((a, b) => a - b).map((number) => schedule(number).id);
    assert.deepEqual(ids(await collect(schedules.list(ACME))), expected);
  },
  'the earliest schedules are those of all tenants that somebody is to look at first': async ({
    schedules,
  }) => {
    for (const number of [3, 1, 4]) await schedules.create(schedule(number));
    await schedules.create(schedule(2, { tenant: OTHER }));
    await schedules.create(schedule(9, NEVER));
    const found = await schedules.earliest(3);
    assert.deepEqual(
      found,
      [schedule(1), schedule(2, { tenant: OTHER }), schedule(3)].map(({ tenant, id, wakeAt }) => ({
        tenant,
        id,
        wakeAt,
      })),
    );
    assert.equal((await schedules.earliest(10)).length, 4);
  },
  'an advance moves the schedule, records its ticks and adds the job': async (store) => {
    const { schedules } = store;
    const kept = await schedules.create(schedule(1));
    const ticks = [missed(1_000, 'window'), fired(2_000, job(1))];
    const to = { next: 3_000, wakeAt: 3_500 };
    assert.equal(await schedules.advance(kept, { to, ticks, job: job(1) }), true);
    const after = await schedules.get(ACME, kept.id);
    assert.deepEqual(after, { ...kept, ...to, revision: 1, lastJob: job(1).id });
    assert.deepEqual(await collect(schedules.ticks(ACME, kept.id, {})), ticks);
    assert.deepEqual((await store.get(ACME, job(1).id))?.input, job(1).input);
    assert.equal(await schedules.advance(after, { to: NEVER, ticks: [] }), true);
    const last = await schedules.get(ACME, kept.id);
    assert.deepEqual(last, { ...kept, ...NEVER, revision: 2, lastJob: job(1).id });
  },
  'an advance of an earlier revision is refused, and changes nothing': async (store) => {
    const { schedules } = store;
    const kept = await schedules.create(schedule(1));
    await schedules.advance(kept, { to: kept, ticks: [] });
    const late = { to: NEVER, ticks: [fired(1_000, job(1))], job: job(1) };
    assert.equal(await schedules.advance(kept, late), false);
    assert.equal((await schedules.get(ACME, kept.id))?.revision, 1);
    assert.deepEqual(await collect(schedules.ticks(ACME, kept.id, {})), []);
    assert.equal(await store.get(ACME, job(1).id), undefined);
  },
  'a job that the store refuses leaves the schedule where it was': async (store) => {
    const { schedules } = store;
    await store.enqueue(job(7, { tenant: OTHER }));
    const kept = await schedules.create(schedule(1));
    const huge = job(1, { input: { text: sized(LARGEST_JSON) } });
    const fire = (one: typeof huge) =>
      schedules.advance(kept, { to: NEVER, ticks: [fired(1_000, one)], job: one });
    await rejects(fire(huge), 'LIMIT_EXCEEDED');
    await rejects(fire(job(7)), 'ALREADY_EXISTS');
    assert.deepEqual(await schedules.get(ACME, kept.id), kept);
    assert.deepEqual(await collect(schedules.ticks(ACME, kept.id, {})), []);
  },
  'a job that exists is not added again': async (store) => {
    const kept = await store.schedules.create(schedule(1));
    await store.enqueue(job(1));
    const again = job(1, { input: { changed: true } });
    const fire = { to: NEVER, ticks: [fired(1_000, again)], job: again };
    assert.equal(await store.schedules.advance(kept, fire), true);
    assert.deepEqual((await store.get(ACME, again.id))?.input, job(1).input);
  },
  'a tick is recorded once, by its time or by its event': async ({ schedules }) => {
    let kept = await schedules.create(schedule(1));
    const named = (time: number, event: string): ScheduleTick => ({ ...missed(time), event });
    const first = [missed(1_000), named(1_000, 'a'), named(1_000, ODD)];
    await schedules.advance(kept, { to: kept, ticks: first });
    kept = (await schedules.get(ACME, kept.id)) ?? kept;
    for (const tick of [missed(1_000, 'window'), named(2_000, 'a')]) {
      const ticks = [missed(500), tick];
      await rejects(schedules.advance(kept, { to: NEVER, ticks }), 'ALREADY_EXISTS');
    }
    assert.deepEqual(await schedules.get(ACME, kept.id), kept);
    assert.deepEqual(await collect(schedules.ticks(ACME, kept.id, {})), first);
    assert.deepEqual(await schedules.event(ACME, kept.id, ODD), first[2]);
    assert.equal(await schedules.event(ACME, kept.id, 'b'), undefined);
    assert.equal(await schedules.event(OTHER, kept.id, 'a'), undefined);
  },
  'of ticks that no event fired the newest are kept, and an older one is not recorded again': async ({
    schedules,
  }) => {
    const kept = await schedules.create(schedule(1));
    const other = await schedules.create(schedule(2));
    const record = async (ticks: readonly ScheduleTick[]): Promise<boolean> => {
      const now = (await schedules.get(ACME, kept.id)) ?? kept;
      return await schedules.advance(now, { to: now, ticks });
    };
    const many = Array.from({ length: KEPT_TICKS + 3 }, (_, at) => missed(at + 1));
    const event: ScheduleTick = { ...missed(1), event: 'first' };
    await schedules.advance(other, { to: other, ticks: [missed(1)] });
    await record([event, ...many.slice(0, KEPT_TICKS)]);
    assert.equal((await collect(schedules.ticks(ACME, kept.id, {}))).length, KEPT_TICKS + 1);
    await record(many.slice(KEPT_TICKS));
    const left = await collect(schedules.ticks(ACME, kept.id, {}));
    assert.deepEqual(
      [left.length, left.slice(0, 2), left.at(-1)],
      [KEPT_TICKS + 1, [event, many[3]], many.at(-1)],
    );
    for (const tick of [missed(1), missed(3), missed(4), event]) {
      await rejects(record([missed(0.5 + KEPT_TICKS), tick]), 'ALREADY_EXISTS');
    }
    assert.deepEqual((await collect(schedules.ticks(ACME, kept.id, {}))).length, left.length);
    assert.deepEqual(await schedules.event(ACME, kept.id, 'first'), event);
    assert.equal(await record([{ ...missed(1), event: 'second' }]), true);
    assert.deepEqual(await collect(schedules.ticks(ACME, other.id, {})), [missed(1)]);
  },
  'ticks come back as they were, in order of time, over more than one page and from a time on': async ({
    schedules,
  }) => {
    const kept = await schedules.create(schedule(1));
    const other = await schedules.create(schedule(2));
    const refused: ScheduleTick = { ...missed(0.25), state: 'missed', reason: 'refused', error: ERROR };
    const many = Array.from({ length: 250 }, (_, at) => missed(1_000 * (at + 1), 'paused'));
    await schedules.advance(kept, { to: kept, ticks: [...many, refused] });
    await schedules.advance(other, { to: other, ticks: [missed(7)] });
    assert.deepEqual(await collect(schedules.ticks(ACME, kept.id, {})), [refused, ...many]);
    const from = await collect(schedules.ticks(ACME, kept.id, { from: 240_000 }));
    assert.deepEqual(from, many.slice(239));
  },
};
