import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from './contracts/index.ts';

// A timer of Node that is set for longer ends at once.
const LONGEST_TIMER = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (milliseconds, { signal }) => {
    try {
      let left = milliseconds;
      for (; left > LONGEST_TIMER; left -= LONGEST_TIMER) await delay(LONGEST_TIMER, undefined, { signal });
      await delay(left, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  },
};
