import { assertBankKey } from '../../core/bank-keys.ts';
import type { Bank, CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { wrap } from './wrap.ts';

/** A bank that can be read and listed; `put`, `remove` and `extend` are refused with `ACCESS_DENIED` and reach nothing. */
export function readOnly(bank: Bank): Bank {
  const refuse = (keys: readonly string[], what: string, { signal }: CallOptions): never => {
    for (const key of keys) assertBankKey(key);
    signal.throwIfAborted();
    throw new FafnirError('ACCESS_DENIED', `the bank ${bank.name} is read-only here: it does not ${what}`, {
      hint: 'Use the bank without the readOnly wrapper where it is to be written to.',
    });
  };
  return wrap(bank, {
    put: async (key, _body, call) => refuse([key], `store ${key}`, call),
    remove: async (keys, call) => refuse(keys, 'remove objects', call),
    extend: () => async (keys, _until, call) => refuse(keys, 'lock objects', call),
  });
}
