import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from './contracts/index.ts';

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (milliseconds, { signal }) => {
    try {
      await delay(milliseconds, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  },
};
