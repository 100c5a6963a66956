import { memoryBank } from '../../../src/banks/memory.ts';
import { wrap } from '../../../src/banks/wrappers/wrap.ts';
import type { Bank } from '../../../src/index.ts';
import { FafnirError } from '../../../src/index.ts';

/** The usual passing failure. */
export const unavailable = (retryAfterMilliseconds?: number): FafnirError =>
  new FafnirError('UNAVAILABLE', 'try again', {
    ...(retryAfterMilliseconds === undefined ? {} : { retryAfterMilliseconds }),
  });

/** Asked before each call, and after it has had its effect: what to fail it with, if with anything. */
export type Faults = (when: 'before' | 'after', what: string) => unknown;

/** A bank whose calls fail as told. Of a list, each step is a call. */
export function flakyBank(faults: Faults, bank: Bank = memoryBank({ name: 'flaky' })): Bank {
  const through = async <Answer>(what: string, work: () => Promise<Answer>): Promise<Answer> => {
    const before = faults('before', what);
    if (before !== undefined) throw before;
    const answer = await work();
    const after = faults('after', what);
    if (after !== undefined) throw after;
    return answer;
  };
  return wrap(bank, {
    put: (key, body, call) => through(`put ${key}`, () => bank.put(key, body, call)),
    get: (key, read, call) => through(`get ${key}`, () => bank.get(key, read, call)),
    head: (key, call) => through(`head ${key}`, () => bank.head(key, call)),
    async *list(prefix, call) {
      await through(`list ${prefix}`, () => Promise.resolve());
      for await (const object of bank.list(prefix, call)) {
        yield object;
        await through(`list past ${object.key}`, () => Promise.resolve());
      }
    },
    remove: (keys, call) => through('remove', () => bank.remove(keys, call)),
  });
}

/** Every call fails this often before its effect, and then goes through; those of one name are counted together. */
export function failingFirst(times: number, error: () => unknown = unavailable): Faults {
  const failed = new Map<string, number>();
  return (when, what) => {
    if (when === 'after') return undefined;
    const count = failed.get(what) ?? 0;
    failed.set(what, count === times ? 0 : count + 1);
    return count === times ? undefined : error();
  };
}

/** The first call that matches fails, before or after its effect. */
export function failingOnce(
  when: 'before' | 'after',
  what: string,
  error: () => unknown = unavailable,
): Faults {
  let struck = false;
  return (now, call) => {
    if (struck || now !== when || call !== what) return undefined;
    struck = true;
    return error();
  };
}
