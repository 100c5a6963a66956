import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ScheduleId, ScheduleRecord } from '../../../src/core/contracts/index.ts';
import type { Scheduler } from '../../../src/core/jobs/scheduler.ts';
import { memoryStore } from '../../../src/stores/memory.ts';
import { all } from '../engine/world.ts';
import {
  ACME,
  BEGIN,
  endJobs,
  HOUR,
  MINUTE,
  scheduled,
  schedulerOf,
  SetClock,
  wordOf,
} from './scheduling.ts';

const QUARTER = 15 * MINUTE;
const END = BEGIN + 365 * 24 * HOUR;
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Africa/Casablanca',
  'Pacific/Chatham',
  'America/St_Johns',
  'Pacific/Kiritimati',
];

/** Rules in words of both kinds, and what the wall clock shows at their times, put down by hand. */
const RULES = [
  { when: { cron: '30 2 * * *' }, fits: at(({ clock }) => clock === '02:30') },
  {
    when: { cron: '15 */6 * * 1-5' },
    fits: at(({ clock, day }) => /^(00|06|12|18):15$/.test(clock) && day > 0 && day < 6),
  },
  {
    when: { rrule: 'FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=45;BYSECOND=0' },
    fits: at(({ clock }) => /^0[0-3]:45$/.test(clock)),
  },
  {
    when: { rrule: 'FREQ=WEEKLY;BYDAY=SU;BYHOUR=2,3;BYMINUTE=0;BYSECOND=0' },
    fits: at(({ clock, day }) => /^0[23]:00$/.test(clock) && day === 0),
  },
] as const;

type Shown = { readonly clock: string; readonly day: number };

function at(fits: (shown: Shown) => boolean): (wall: number) => boolean {
  return (wall) => {
    const date = new Date(wall);
    return fits({ clock: date.toISOString().slice(11, 16), day: date.getUTCDay() });
  };
}

/** The wall clock of a zone at each quarter of an hour of the year, told by another way than the package's own. */
function wallsOf(timeZone: string): readonly (readonly [instant: number, wall: number])[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  const walls: [number, number][] = [];
  for (let instant = BEGIN; instant <= END; instant += QUARTER) {
    walls.push([instant, Date.parse(`${format.format(instant).replace(' ', 'T')}Z`)]);
  }
  return walls;
}

/** The instants at which the wall clock passes a time that fits, for the first time. */
function ticksBy(walls: ReturnType<typeof wallsOf>, fits: (wall: number) => boolean): number[] {
  let furthest = (walls[0]?.[1] ?? 0) - QUARTER;
  const ticks: number[] = [];
  for (const [instant, wall] of walls) {
    let hasPassed = false;
    for (; furthest < wall; furthest += QUARTER) hasPassed ||= fits(furthest + QUARTER);
    if (hasPassed) ticks.push(instant);
  }
  return ticks;
}

const EXPECTED = ZONES.flatMap((timeZone, zone) => {
  const walls = wallsOf(timeZone);
  const mine = RULES.filter((_, rule) => (rule + zone + (rule >> 1)) % 2 === 0);
  return mine.map(({ when, fits }, rule) => ({
    id: `zone-${zone}-rule-${rule}` as ScheduleId,
    when: { ...when, timeZone, start: BEGIN },
    ticks: ticksBy(walls, fits),
  }));
});

const MISSED = ['run-once', 'skip', 'catch-up'] as const;
const SITES = ['fra', 'ber', 'muc'];

const { FAFNIR_SEED } = process.env;
const SEEDS = FAFNIR_SEED === undefined ? [1, 2, 3] : [Number(FAFNIR_SEED)];

it.each(SEEDS)(
  'fires or records every tick of a year in ten time zones once, whatever happens (%i)',
  async (seed) => {
    // What happens, and how long until the next thing does.
    const deed = fc.record({
      what: fc.constantFrom('stop', 'start', 'pause', 'resume', 'end jobs', 'end jobs', 'nothing'),
      which: fc.nat(2),
      minutes: fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 600, max: 20_000 })),
    });
    const property = fc.asyncProperty(fc.array(deed, { minLength: 60, maxLength: 60 }), async (deeds) => {
      const [store, clock] = [memoryStore(), new SetClock()];
      clock.time -= 1;
      for (const [at, { id, when }] of EXPECTED.entries()) {
        const missed = MISSED[at % 3] ?? 'skip';
        const overlap = missed === 'catch-up' ? 'queue' : at % 2 === 0 ? 'skip' : 'cancel-older';
        const site = SITES[at % SITES.length] ?? '';
        await scheduled(store, { id, when, missed, overlap, site, createdAt: clock.time });
      }
      const hosts: (Scheduler | undefined)[] = [schedulerOf({ store, clock }), undefined, undefined];
      const settle = () => Promise.all(hosts.map((host) => host?.settle()));
      for (let step = 0; clock.time < END; step += 1) {
        const { what, which, minutes } = deeds[step % deeds.length] ?? {
          what: 'nothing',
          which: 0,
          minutes: 60,
        };
        const site = { kind: 'site', site: SITES[which] ?? '' } as const;
        if (what === 'stop') hosts[which] = undefined;
        if (what === 'start') hosts[which] = schedulerOf({ store, clock });
        if (what === 'pause') await store.schedules.pause(site);
        if (what === 'resume') await store.schedules.resume(site, clock.time);
        if (what === 'end jobs') await endJobs(store);
        clock.time = Math.min(END, clock.time + minutes * MINUTE);
        await settle();
      }
      // What waits for the jobs before it is dealt with in the end.
      hosts[0] = schedulerOf({ store, clock });
      const isDone = ({ next }: ScheduleRecord) => next === null || next > END;
      while (!(await all(store.schedules.list(ACME))).every(isDone)) {
        await endJobs(store);
        clock.time += 5_000;
        await hosts[0].settle();
      }
      const fired = new Set<string>();
      for (const { id, ticks } of EXPECTED) {
        const recorded = (await all(store.schedules.ticks(ACME, id, {}))).filter(({ time }) => time <= END);
        expect(recorded.map(({ time }) => time)).toEqual(ticks);
        for (const tick of recorded) {
          expect(tick.recordedAt).toBeGreaterThanOrEqual(tick.time);
          if (tick.state === 'fired') fired.add(tick.job);
        }
        expect(new Set(recorded.map(wordOf)).has('refused')).toBe(false);
      }
      const jobs = await all(store.list(ACME, {}));
      expect(jobs.map(({ id }) => id).sort()).toEqual([...fired].sort());
    });
    await fc.assert(property, { numRuns: 1, seed });
  },
  120_000,
);
