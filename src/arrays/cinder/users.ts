import type { CallOptions } from '../../core/contracts/index.ts';
import { createLock } from '../lock.ts';

/** Who of this process uses what there is of a snapshot while it is open. */
export interface Users {
  /** Counts one in and does his work, alone among those of the snapshot; counts him out again where it fails. */
  enter<Result>(id: string, work: () => Promise<Result>): Promise<Result>;
  /** Counts one out. */
  leave(id: string): Promise<void>;
}

/** `end` is called when the last one of a snapshot is out, and before another one begins. */
export function createUsers(end: (id: string, call: CallOptions) => Promise<void>): Users {
  const lock = createLock();
  const counts = new Map<string, number>();

  const leave = (id: string): Promise<void> =>
    lock(id, async () => {
      const left = (counts.get(id) ?? 1) - 1;
      if (left > 0) counts.set(id, left);
      else {
        counts.delete(id);
        // Not to be stopped by what ended the caller; deadlines bound it.
        await end(id, { signal: new AbortController().signal });
      }
    });

  return {
    leave,
    async enter(id, work) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      try {
        return await lock(id, work);
      } catch (error) {
        // What it cannot remove now, whoever opens or removes the snapshot next does.
        await Promise.allSettled([leave(id)]);
        throw error;
      }
    },
  };
}
