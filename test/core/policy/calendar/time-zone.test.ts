import { describe, expect, it } from 'vitest';
import { TimeZone } from '../../../../src/core/policy/calendar/time-zone.ts';

const at = (text: string): number => Date.parse(text);

describe('a time zone', () => {
  it.each([
    ['UTC', '2026-03-29T02:30:00Z', '2026-03-29T02:30:00Z'],
    ['Europe/Berlin', '2026-01-10T12:00:00Z', '2026-01-10T11:00:00Z'],
    ['Europe/Berlin', '2026-07-10T12:00:00Z', '2026-07-10T10:00:00Z'],
    ['Asia/Kathmandu', '2026-07-10T12:00:00Z', '2026-07-10T06:15:00Z'],
    ['Pacific/Kiritimati', '2026-07-10T12:00:00Z', '2026-07-09T22:00:00Z'],
  ])('%s shows %s at %s', (name, wall, instant) => {
    const zone = new TimeZone(name);
    expect(zone.instant(at(wall))).toBe(at(instant));
    expect(zone.wallTime(at(instant))).toBe(at(wall));
  });

  it.each([
    ['Europe/Berlin', '2026-03-29T02:30:00Z', '2026-03-29T01:00:00Z'],
    ['Europe/Berlin', '2026-03-29T02:00:00Z', '2026-03-29T01:00:00Z'],
    ['America/New_York', '2026-03-08T02:59:59Z', '2026-03-08T07:00:00Z'],
    ['Australia/Lord_Howe', '2026-10-04T02:15:00Z', '2026-10-03T15:30:00Z'],
    ['Pacific/Apia', '2011-12-30T12:00:00Z', '2011-12-30T10:00:00Z'],
  ])('%s leaves out %s, which is then the change at %s', (name, wall, instant) => {
    expect(new TimeZone(name).instant(at(wall))).toBe(at(instant));
  });

  it.each([
    ['Europe/Berlin', '2026-10-25T02:30:00Z', '2026-10-25T00:30:00Z'],
    ['America/New_York', '2026-11-01T01:00:00Z', '2026-11-01T05:00:00Z'],
    ['Australia/Lord_Howe', '2026-04-05T01:45:00Z', '2026-04-04T14:45:00Z'],
  ])('%s shows %s twice, which is the first time, %s', (name, wall, instant) => {
    expect(new TimeZone(name).instant(at(wall))).toBe(at(instant));
  });

  it('never goes back as the wall time goes on', () => {
    const zone = new TimeZone('America/Santiago');
    let last = Number.NEGATIVE_INFINITY;
    for (let wall = at('2026-01-01T00:00:00Z'); wall < at('2027-01-01T00:00:00Z'); wall += 900_000) {
      const instant = zone.instant(wall);
      expect(instant).toBeGreaterThanOrEqual(last);
      last = instant;
    }
  });

  it.each(['Mars/Olympus', '', '__proto__', 'x'.repeat(10_000)])(
    'is refused by a name such as %.20s',
    (name) => {
      expect(() => new TimeZone(name)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
    },
  );
});
