import type { Clock } from '../../src/index.ts';

/** A clock on which nobody waits: it goes on by what is slept. */
export function lockClock(): Pick<Clock, 'now' | 'sleep'> {
  let now = Date.UTC(2031, 0, 1);
  return {
    now: () => now,
    sleep: async (milliseconds) => {
      now += milliseconds;
    },
  };
}
