import type { Options, RRule } from 'rrule';
import { FafnirError } from '../../errors.ts';
import { type RuleParts, ruleParts } from './rule-parts.ts';
import type { TimeZone } from './time-zone.ts';
import type { WallTicks } from './wall-ticks.ts';

// The library searches to the year 9999 for a rule that has no time. The calendar is the same every 400 years, so times
// are asked for so many years later that fewer than 400 are left.
const CYCLE_YEARS = 400;
const CYCLE = 146_097 * 86_400_000;
const LAST_YEAR = 9_999;
const DAY = 86_400_000;

type Rule = typeof RRule;

/** The wall times of an iCalendar rule that begins at an instant; `INVALID_OPTIONS` for what is none. */
export async function recurrenceTicks(text: string, zone: TimeZone, start: number): Promise<WallTicks> {
  const parts = ruleParts(text);
  const loaded = await import('rrule');
  // Node sees one member, bundlers see all.
  const { RRule } = ('default' in loaded ? loaded.default : loaded) as { readonly RRule: Rule };
  const wall = zone.wallTime(Math.ceil(start / 1_000) * 1_000);
  const years = LAST_YEAR - new Date(wall).getUTCFullYear();
  if (years < 0) throw new FafnirError('INVALID_OPTIONS', 'start: it is after the year 9999');
  const shift = Math.floor(years / CYCLE_YEARS) * CYCLE;
  const first = wall + shift;
  const until = untilOf(parts, zone);
  const given: Partial<Options> = {
    ...RRule.parseString(
      [...parts]
        .filter(([name]) => name !== 'UNTIL')
        .map(asText)
        .join(';'),
    ),
    dtstart: new Date(first),
    ...(until !== undefined && { until: new Date(until + shift) }),
  };
  const rule = new RRule(given);
  // What the rule takes from its first time is said, so that a later one does as well.
  const { byhour, byminute, bysecond, bymonth, bymonthday, byweekday } = rule.options;
  const said: Partial<Options> = {
    ...given,
    byhour,
    byminute,
    bysecond,
    bymonth,
    bymonthday: given.bymonthday ?? (bymonthday.length > 0 ? bymonthday : null),
    byweekday: given.byweekday ?? byweekday,
  };
  return {
    after: (after) => {
      const searched = after + shift;
      if (given.count !== undefined && given.count !== null)
        return minus(rule.after(new Date(searched)), shift);
      const dtstart = new Date(periodBefore(said, RRule, first, searched));
      return minus(new RRule({ ...said, dtstart }).after(new Date(searched)), shift);
    },
  };
}

// A rule is searched from its beginning, which would take longer from year to year.
function periodBefore(
  { freq, interval = 1 }: Partial<Options>,
  rule: Rule,
  first: number,
  wall: number,
): number {
  if (wall <= first) return first;
  const days = freq === rule.DAILY ? interval : freq === rule.WEEKLY ? 7 * interval : undefined;
  const begun = new Date(first);
  if (days !== undefined) {
    const periods = Math.floor((wall - first) / (days * DAY)) - 1;
    return periods <= 0 ? first : first + periods * days * DAY;
  }
  const months = freq === rule.YEARLY ? 12 * interval : interval;
  const reached = new Date(wall);
  const passed =
    12 * (reached.getUTCFullYear() - begun.getUTCFullYear()) + reached.getUTCMonth() - begun.getUTCMonth();
  const periods = Math.floor(passed / months) - 1;
  if (periods <= 0) return first;
  const month = (freq === rule.YEARLY ? 0 : begun.getUTCMonth()) + periods * months;
  return Date.UTC(begun.getUTCFullYear(), month, 1);
}

// By the wall clock where it says no zone; a date alone is the whole of its day.
function untilOf(parts: RuleParts, zone: TimeZone): number | undefined {
  const [text] = parts.get('UNTIL') ?? [];
  if (text === undefined) return undefined;
  const iso = text.replace(/^(\d{4})(\d\d)(\d\d)/, '$1-$2-$3').replace(/T(\d\d)(\d\d)(\d\d)/, 'T$1:$2:$3');
  const written = Date.parse(iso.length === 10 ? `${iso}T23:59:59Z` : `${iso.replace(/Z$/, '')}Z`);
  if (Number.isNaN(written)) throw new FafnirError('INVALID_OPTIONS', `rrule: UNTIL=${text} is no time`);
  return iso.endsWith('Z') ? zone.wallTime(written) : written;
}

const asText = ([name, items]: readonly [string, readonly string[]]): string => `${name}=${items}`;
const minus = (date: Date | null, shift: number): number | undefined =>
  date === null ? undefined : date.getTime() - shift;
