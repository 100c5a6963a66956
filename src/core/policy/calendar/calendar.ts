import type { ScheduleTimes } from '../../contracts/index.ts';
import { FafnirError } from '../../errors.ts';
import { cronTicks } from './cron.ts';
import { recurrenceTicks } from './recurrence.ts';
import { timeZoneOf } from './time-zone.ts';

// Longer rules would take long to read, and nobody writes them.
const LONGEST_RULE = 1_024;

/** The ticks of a schedule, as instants: milliseconds since 1970 UTC. */
export interface Calendar {
  /** The first tick after an instant; undefined where none is left. Each is later than the one before. */
  after(instant: number): number | undefined;
}

/**
 * Reads when a schedule has its ticks. The rule counts by the clock on the wall of its time zone: a time that the clock
 * leaves out is the instant of the change, one that it shows twice is the first of the two, and ticks that fall together
 * are one. `INVALID_OPTIONS` for what cannot be read.
 */
export async function openCalendar({ cron, rrule, timeZone, start, end }: ScheduleTimes): Promise<Calendar> {
  const zone = timeZoneOf(timeZone);
  for (const rule of [cron, rrule]) {
    if (rule !== undefined && rule.length > LONGEST_RULE) {
      throw new FafnirError(
        'LIMIT_EXCEEDED',
        `a rule of ${rule.length} characters is longer than ${LONGEST_RULE}`,
        {
          hint: 'Make several schedules of shorter rules.',
        },
      );
    }
  }
  if ((cron === undefined) === (rrule === undefined)) {
    throw new FafnirError('INVALID_OPTIONS', 'when: give one of cron and rrule');
  }
  const ticks = cron === undefined ? await recurrenceTicks(rrule ?? '', zone, start) : await cronTicks(cron);
  return {
    after(asked) {
      const instant = Math.max(asked, start - 1);
      let wall = ticks.after(zone.wallTime(instant));
      // While the wall clock shows an hour for the second time, its ticks have been.
      while (wall !== undefined && zone.instant(wall) <= instant) wall = ticks.after(wall);
      const tick = wall === undefined ? undefined : zone.instant(wall);
      return tick === undefined || tick > (end ?? tick) ? undefined : tick;
    },
  };
}
