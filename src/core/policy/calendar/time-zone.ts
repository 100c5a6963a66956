import { FafnirError } from '../../errors.ts';

// No zone is further from UTC, and none changed its clock twice within twice this time.
const FURTHEST = 16 * 3_600_000;

// More than there are. To make one takes longer than all that a look at a schedule asks of it.
const MOST_KNOWN = 1_000;
const known = new Map<string, TimeZone>();

/** The time zone of a name; `INVALID_OPTIONS` as for {@link TimeZone}. */
export function timeZoneOf(name: string): TimeZone {
  const zone = known.get(name) ?? new TimeZone(name);
  if (known.size < MOST_KNOWN) known.set(name, zone);
  return zone;
}

/**
 * The clock on the walls of a time zone. A wall time is written as the milliseconds since 1970 that a clock showing UTC
 * would have.
 */
export class TimeZone {
  readonly #format: Intl.DateTimeFormat;

  /** `INVALID_OPTIONS` for a name that the IANA database of this Node does not have. */
  constructor(name: string) {
    try {
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        calendar: 'iso8601',
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    } catch (cause) {
      throw new FafnirError('INVALID_OPTIONS', `no such time zone: ${JSON.stringify(name.slice(0, 64))}`, {
        cause,
        hint: 'Use a name of the IANA database, such as Europe/Berlin or UTC.',
      });
    }
  }

  /** What the wall clock shows at an instant. */
  wallTime(instant: number): number {
    return instant + this.#offset(instant);
  }

  /**
   * The instant at which the wall clock shows a time: the first, where it is put back and shows it twice; the instant
   * at which it is put forward, where it leaves the time out. Later wall times never have earlier instants.
   */
  instant(wall: number): number {
    const [earliest, latest] = [wall - FURTHEST, wall + FURTHEST];
    const [before, after] = [this.#offset(earliest), this.#offset(latest)];
    if (before === after || this.#offset(wall - before) === before) return wall - before;
    if (this.#offset(wall - after) === after) return wall - after;
    return this.#change(earliest, latest, before);
  }

  // The first instant between the two, to the second, at which the offset is another than at the earlier one.
  #change(earlier: number, later: number, before: number): number {
    let [low, high] = [Math.floor(earlier / 1_000), Math.ceil(later / 1_000)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offset(middle * 1_000) === before) low = middle;
      else high = middle;
    }
    return high * 1_000;
  }

  #offset(instant: number): number {
    const shown: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of this.#format.formatToParts(instant)) shown[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
    const whole = Math.floor(instant / 1_000) * 1_000;
    return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
  }
}
