import type { CallOptions } from '../../core/contracts/index.ts';
import { createLock } from '../lock.ts';

/** Who of this process uses what is there, by a name, while a snapshot is open. */
export interface Users {
  /** Counts one in and does his work, alone among those of the name; counts him out again where it fails. */
  enter<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** Counts one out. */
  leave(name: string): Promise<void>;
}

/** `end` is called when the last one of a name is out, and before another one begins. */
export function createUsers(end: (name: string, call: CallOptions) => Promise<unknown>): Users {
  const lock = createLock();
  const counts = new Map<string, number>();

  const leave = (name: string): Promise<void> =>
    lock(name, async () => {
      const left = (counts.get(name) ?? 1) - 1;
      if (left > 0) counts.set(name, left);
      else {
        counts.delete(name);
        // Not to be stopped by what ended the caller; deadlines bound it.
        await end(name, { signal: new AbortController().signal });
      }
    });

  return {
    leave,
    async enter(name, work) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      try {
        return await lock(name, work);
      } catch (error) {
        // What it cannot remove now, whoever opens or removes the snapshot next does.
        await Promise.allSettled([leave(name)]);
        throw error;
      }
    },
  };
}
