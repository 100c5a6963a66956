import fc from 'fast-check';
import rrule from 'rrule';
import { describe, expect, it } from 'vitest';
import type { ScheduleTimes } from '../../../../src/core/contracts/index.ts';
import { openCalendar } from '../../../../src/core/policy/calendar/calendar.ts';
import { TimeZone } from '../../../../src/core/policy/calendar/time-zone.ts';
import { failure } from '../../engine/world.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const when = (times: Partial<ScheduleTimes>): ScheduleTimes => ({ timeZone: 'UTC', start: START, ...times });

/** The first ticks, as text. */
async function ticksOf(times: Partial<ScheduleTimes>, count: number, from = START - 1): Promise<string[]> {
  const calendar = await openCalendar(when(times));
  const ticks: string[] = [];
  let tick = calendar.after(from);
  for (; tick !== undefined && ticks.length < count; tick = calendar.after(tick)) {
    ticks.push(new Date(tick).toISOString().slice(0, 16));
  }
  return ticks;
}

describe('a calendar', () => {
  it.each<[string, Partial<ScheduleTimes>, readonly string[]]>([
    ['cron', { cron: '30 2 * * 1-5' }, ['2026-01-01T02:30', '2026-01-02T02:30', '2026-01-05T02:30']],
    ['a named cron', { cron: '@monthly' }, ['2026-01-01T00:00', '2026-02-01T00:00', '2026-03-01T00:00']],
    [
      'cron in a zone',
      { cron: '0 9 * * *', timeZone: 'Asia/Tokyo' },
      ['2026-01-01T00:00', '2026-01-02T00:00', '2026-01-03T00:00'],
    ],
    [
      'a rule',
      { rrule: 'FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=2;BYMINUTE=30' },
      ['2026-01-01T02:30', '2026-01-05T02:30', '2026-01-08T02:30'],
    ],
    [
      'a rule of the last working day',
      { rrule: 'RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1' },
      ['2026-01-30T00:00', '2026-02-27T00:00', '2026-03-31T00:00'],
    ],
    ['a rule that counts', { rrule: 'FREQ=DAILY;COUNT=2' }, ['2026-01-01T00:00', '2026-01-02T00:00']],
    ['a rule until a date', { rrule: 'FREQ=DAILY;UNTIL=20260102' }, ['2026-01-01T00:00', '2026-01-02T00:00']],
    [
      'a rule until an instant',
      { rrule: 'FREQ=DAILY;UNTIL=20260102T000000Z', timeZone: 'Asia/Tokyo' },
      ['2026-01-01T00:00', '2026-01-02T00:00'],
    ],
    [
      'an end, which counts',
      { cron: '0 0 * * *', end: START + 86_400_000 },
      ['2026-01-01T00:00', '2026-01-02T00:00'],
    ],
  ])('reads %s', async (_, times, expected) => {
    expect(await ticksOf(times, 3)).toEqual(expected);
  });

  it('has one tick for all that the wall clock leaves out, and one for what it shows twice', async () => {
    const timeZone = 'Europe/Berlin';
    const spring = await ticksOf(
      { cron: '*/20 1-3 * * *', timeZone },
      7,
      Date.parse('2026-03-29T00:00:00Z') - 1,
    );
    expect(spring.map((tick) => tick.slice(5))).toEqual([
      '03-29T00:00',
      '03-29T00:20',
      '03-29T00:40',
      '03-29T01:00',
      '03-29T01:20',
      '03-29T01:40',
      '03-29T23:00',
    ]);
    const autumn = await ticksOf({ cron: '30 * * * *', timeZone }, 4, Date.parse('2026-10-24T23:00:00Z'));
    expect(autumn).toEqual(['2026-10-24T23:30', '2026-10-25T00:30', '2026-10-25T02:30', '2026-10-25T03:30']);
    // From inside the hour that comes again.
    expect(await ticksOf({ cron: '30 * * * *', timeZone }, 1, Date.parse('2026-10-25T01:10:00Z'))).toEqual([
      '2026-10-25T02:30',
    ]);
  });

  it('finds the same ticks from anywhere as from the beginning of the rule', async () => {
    const zones = ['UTC', 'America/New_York', 'Australia/Lord_Howe'];
    const numbers = (to: number) =>
      fc.uniqueArray(fc.integer({ min: 1, max: to }), { minLength: 1, maxLength: 3 });
    const optional = (name: string, list: fc.Arbitrary<readonly (number | string)[]>) =>
      fc.option(
        list.map((items) => `;${name}=${items}`),
        { nil: '' },
      );
    const days = fc.subarray(['MO', 'WE', 'SA', 'SU'], { minLength: 1 });
    const rules = fc.tuple(
      fc.constantFrom('DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY').map((name) => `FREQ=${name}`),
      fc.integer({ min: 1, max: 14 }).map((interval) => `;INTERVAL=${interval}`),
      optional('BYMONTH', numbers(12)),
      optional('BYDAY', days),
      optional('BYHOUR', numbers(23)),
    );
    const start = fc.integer({ min: 0, max: 400 * 24 }).map((hours) => START + hours * 3_600_000);
    const ahead = fc.integer({ min: 0, max: 4_000 });
    const property = fc.asyncProperty(
      rules,
      fc.constantFrom(...zones),
      start,
      ahead,
      async (parts, timeZone, start, ahead) => {
        const text = parts.join('');
        const zone = new TimeZone(timeZone);
        const dtstart = new Date(zone.wallTime(start));
        const plain = new rrule.RRule({ ...rrule.RRule.parseString(text), dtstart });
        const from = start + ahead * 86_400_000;
        const expected = plain
          .between(
            new Date(zone.wallTime(from) - 86_400_000),
            new Date(zone.wallTime(from) + 900 * 86_400_000),
            true,
          )
          .map((wall) => zone.instant(wall.getTime()))
          .find((instant) => instant > from);
        const found = (await openCalendar({ rrule: text, timeZone, start })).after(from);
        if (expected === undefined)
          expect(found ?? Number.POSITIVE_INFINITY).toBeGreaterThan(from + 890 * 86_400_000);
        else expect(found).toBe(expected);
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  it.each<[string, Partial<ScheduleTimes>]>([
    ['nothing', {}],
    ['two rules', { cron: '@daily', rrule: 'FREQ=DAILY' }],
    ['no cron', { cron: 'every day' }],
    ['a cron of seconds', { cron: '* * * * * *' }],
    ['a cron of events', { cron: '@reboot' }],
    ['a rule of minutes', { rrule: 'FREQ=MINUTELY;BYHOUR=1;INTERVAL=60' }],
    ['a rule of seconds', { rrule: 'FREQ=DAILY;BYSECOND=0,1' }],
    ['a rule that never ends in the library', { rrule: 'FREQ=HOURLY;INTERVAL=2;BYHOUR=1' }],
    ['a rule without FREQ', { rrule: 'BYDAY=MO' }],
    ['an unknown part', { rrule: 'FREQ=DAILY;BYEASTER=1' }],
    ['another property', { rrule: 'DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY' }],
    ['a part twice', { rrule: 'FREQ=DAILY;FREQ=WEEKLY' }],
    ['a part without a value', { rrule: 'FREQ=DAILY;COUNT' }],
    ['a number that is none', { rrule: 'FREQ=DAILY;INTERVAL=0x10' }],
    ['an interval of 0', { rrule: 'FREQ=DAILY;INTERVAL=0' }],
    ['a huge count', { rrule: 'FREQ=DAILY;COUNT=1000000' }],
    ['a day that no month has', { rrule: 'FREQ=DAILY;BYMONTH=2,4;BYMONTHDAY=31,-31' }],
    ['a numbered day of weeks', { rrule: 'FREQ=WEEKLY;BYDAY=2MO' }],
    ['a time that is none', { rrule: 'FREQ=DAILY;UNTIL=20261399' }],
    ['a day of the year in months', { rrule: 'FREQ=MONTHLY;BYYEARDAY=100' }],
  ])('refuses %s', async (_, times) => {
    const { code } = await failure(() => openCalendar(when(times)));
    expect(code).toBe('INVALID_OPTIONS');
  });

  it('refuses a rule that is too long', async () => {
    const { code } = await failure(() => openCalendar(when({ cron: `${'0,'.repeat(1_000)}0 * * * *` })));
    expect(code).toBe('LIMIT_EXCEEDED');
  });

  it.each<[string, Partial<ScheduleTimes>]>([
    ['a cron', { cron: '0 0 31 2 *' }],
    ['a rule of years', { rrule: 'FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6;BYDAY=MO' }],
    ['a rule of weeks', { rrule: 'FREQ=WEEKLY;BYMONTH=2;BYDAY=MO;BYSETPOS=9' }],
    ['a rule of days', { rrule: 'FREQ=DAILY;INTERVAL=7;BYDAY=FR;BYHOUR=0,1,2,3;BYMINUTE=0,15,30,45' }],
    ['a rule after its end', { rrule: 'FREQ=DAILY;UNTIL=20200101' }],
  ])('has no tick by %s that has none', async (_, times) => {
    expect((await openCalendar(when(times))).after(START)).toBeUndefined();
  });
});
