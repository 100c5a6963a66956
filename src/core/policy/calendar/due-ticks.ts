import type { MissedReason, SchedulePosition, ScheduleRecord } from '../../contracts/index.ts';
import type { Calendar } from './calendar.ts';
import { dueAt } from './jitter.ts';

// A year of ticks that nobody saw is recorded in so many transactions that none is long.
const MOST_AT_ONCE = 500;

/** What is to become of the ticks of a schedule that are due, as far as one transaction goes. */
export type DueTicks = {
  /** Those that are not fired, in order. */
  readonly missed: readonly { readonly time: number; readonly reason: MissedReason }[];
  /** The one after them that is to be fired, or null. */
  readonly fire: number | null;
  /** Whether that one is late. */
  readonly late: boolean;
  /** Where the schedule is when all of this is done. */
  readonly to: SchedulePosition;
};

/** Where a schedule is whose first tick that was not dealt with is this. */
export const positionAt = (
  schedule: Pick<ScheduleRecord, 'id' | 'jitterMilliseconds'>,
  next: number | undefined,
): SchedulePosition =>
  next === undefined ? { next: null, wakeAt: null } : { next, wakeAt: dueAt(schedule, next) };

/** Decides by a schedule's own rules; `since` is when whoever decides began to look at schedules. */
export function dueTicks(
  schedule: ScheduleRecord,
  calendar: Calendar,
  { now, since }: { readonly now: number; readonly since: number },
): DueTicks {
  const missed: { time: number; reason: MissedReason }[] = [];
  let next = schedule.next ?? undefined;
  while (next !== undefined && missed.length < MOST_AT_ONCE) {
    const time = next;
    const due = dueAt(schedule, time);
    if (due > now) break;
    next = calendar.after(time);
    const isLate = due + schedule.windowMilliseconds < now;
    if (schedule.pausedBy.length > 0 || due <= schedule.resumedAt) {
      missed.push({ time, reason: 'paused' });
    } else if (isLate && !isMadeUp(schedule, next, now)) {
      missed.push({ time, reason: due < since ? 'stopped' : 'window' });
    } else {
      return { missed, fire: time, late: isLate, to: positionAt(schedule, next) };
    }
  }
  return { missed, fire: null, late: false, to: positionAt(schedule, next) };
}

// Of late ticks that are run once, the newest is: a later one that is due stands for it.
function isMadeUp(schedule: ScheduleRecord, next: number | undefined, now: number): boolean {
  if (schedule.missed !== 'run-once') return schedule.missed === 'catch-up';
  return next === undefined || dueAt(schedule, next) > now;
}
