/** A stretch of the calendar. */
export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * Tells which hour, day, week, month or year of a time zone an instant, in milliseconds since 1970 UTC, is in: as a number
 * that is the same for all of one period, and greater for later ones. Hours are those of UTC, as local ones come twice when
 * summer time ends.
 */
export function periodOf(period: Period, timeZone: string): (instant: number) => number {
  if (period === 'hourly') return (instant) => Math.floor(instant / HOUR);
  const format = new Intl.DateTimeFormat('en', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
  });
  return (instant) => {
    const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const [year = 0, month = 0, day = 0] = [parts.get('year'), parts.get('month'), parts.get('day')];
    if (period === 'yearly') return year;
    if (period === 'monthly') return year * 12 + month;
    const days = Date.UTC(year, month - 1, day) / DAY;
    // 1970 began on a Thursday, weeks begin on Monday.
    return period === 'daily' ? days : Math.floor((days + 3) / 7);
  };
}

/** Whether there is a time zone of this name. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
