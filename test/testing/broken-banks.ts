import { setImmediate } from 'node:timers/promises';
import { memoryBank } from '../../src/banks/memory.ts';
import { wrap } from '../../src/banks/wrappers/wrap.ts';
import type { Bank, BankObject } from '../../src/core/contracts/index.ts';

function broken(change: (sound: Bank) => Partial<Bank>): Bank {
  const sound = memoryBank({ name: 'broken' });
  return {
    contract: 1,
    name: sound.name,
    capabilities: sound.capabilities,
    put: (key, body, options) => sound.put(key, body, options),
    get: (key, read, call) => sound.get(key, read, call),
    head: (key, call) => sound.head(key, call),
    list: (prefix, options) => sound.list(prefix, options),
    remove: (keys, call) => sound.remove(keys, call),
    ...change(sound),
  };
}

/** A bank that lists the greatest key first. */
export function unorderedBank(): Bank {
  return broken((sound) => ({
    async *list(prefix, options) {
      const objects: BankObject[] = [];
      for await (const object of sound.list(prefix, options)) objects.unshift(object);
      for (const object of objects) {
        options.signal.throwIfAborted();
        yield object;
      }
    },
  }));
}

/** A bank that looks before it creates, and leaves others time between the two. */
export function racingBank(): Bank {
  return broken((sound) => ({
    async put(key, body, options) {
      if (options.ifAbsent && (await sound.head(key, options)) !== undefined) return 'exists';
      await setImmediate();
      return sound.put(key, body, { ...options, ifAbsent: false });
    },
  }));
}

/** A bank that says it locks what is put, and does not. */
export function forgetfulBank(sound: Bank): Bank {
  return wrap(sound, { put: (key, body, { retainUntil: _, ...options }) => sound.put(key, body, options) });
}

/** A bank that says it extends locks, and does not. */
export function deafBank(sound: Bank): Bank {
  return wrap(sound, { extend: () => async () => undefined });
}
