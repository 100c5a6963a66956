import { setImmediate } from 'node:timers/promises';
import { memoryBank } from '../../../../src/banks/memory.ts';
import type { Bank } from '../../../../src/core/contracts/index.ts';
import { bankWith } from '../volumes.ts';

/** A bank that is watched. */
export interface WatchedBank {
  readonly bank: Bank;
  /** Calls that are under way. */
  underWay(): number;
  /** How often what was called since this was asked for last, such as `get index`. */
  take(): Readonly<Record<string, number>>;
}

/** A bank that counts its calls, by method and kind of object, and those that are under way. */
export function watchedBank(sound: Bank = memoryBank({ name: 'bank' })): WatchedBank {
  let counts: Record<string, number> = {};
  let underWay = 0;
  const count = async <Value>(method: string, key: string, call: () => Promise<Value>): Promise<Value> => {
    const what = `${method} ${key.split('/')[1]}`;
    counts[what] = (counts[what] ?? 0) + 1;
    underWay += 1;
    try {
      await setImmediate();
      return await call();
    } finally {
      underWay -= 1;
    }
  };
  const bank = bankWith(
    () => ({
      put: (key, body, options) => count('put', key, () => sound.put(key, body, options)),
      get: (key, read, call) => count('get', key, () => sound.get(key, read, call)),
      head: (key, call) => count('head', key, () => sound.head(key, call)),
      remove: (keys, call) => count('remove', keys[0] ?? '', () => sound.remove(keys, call)),
    }),
    sound,
  );
  return {
    bank,
    underWay: () => underWay,
    take: () => {
      const taken = counts;
      counts = {};
      return taken;
    },
  };
}
