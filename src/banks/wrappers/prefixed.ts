import * as z from 'zod';
import { assertBankKey, assertBankPrefix, isBankKey } from '../../core/bank-keys.ts';
import type { Bank, BankObject, CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseOptions } from '../../core/options.ts';
import { wrap } from './wrap.ts';

// Leaves 383 characters: the longest key of the bank format has 370.
const LONGEST_PREFIX = 128;
const PREFIX = z
  .string()
  .max(LONGEST_PREFIX)
  .refine(isBankKey, 'must be segments of A-Z a-z 0-9 . _ = - joined by single slashes');

/**
 * What lies in a folder of a bank, as a bank: other keys can be neither seen nor reached. `prefix` is at most 128
 * characters of whole segments, such as `backups/eu`, and becomes part of the name. Keys are shorter by the prefix and a
 * slash than those of the bank itself; a longer one is refused with `INVALID_KEY`.
 */
export function prefixed(bank: Bank, prefix: string): Bank {
  const folder = `${parseOptions('prefixed', PREFIX, prefix)}/`;

  const below = (key: string): string => {
    assertBankKey(key);
    const whole = folder + key;
    if (isBankKey(whole)) return whole;
    throw new FafnirError('INVALID_KEY', `with the prefix ${prefix} the key is too long: ${key}`);
  };
  const own = ({ key, size }: BankObject): BankObject => {
    if (key.startsWith(folder)) return { key: key.slice(folder.length), size };
    throw new FafnirError('WRONG_ANSWER', `asked for ${folder}, the bank ${bank.name} told of another key`);
  };
  async function* list(
    from: string,
    { after, signal }: CallOptions & { readonly after?: string },
  ): AsyncGenerator<BankObject> {
    assertBankPrefix(from);
    const call = after === undefined ? { signal } : { signal, after: folder + after };
    for await (const object of bank.list(folder + from, call)) yield own(object);
  }
  return wrap(bank, {
    name: `${bank.name}/${prefix}`,
    put: async (key, body, call) => bank.put(below(key), body, call),
    get: async (key, read, call) => bank.get(below(key), read, call),
    async head(key, call) {
      const object = await bank.head(below(key), call);
      return object && own(object);
    },
    list,
    remove: async (keys, call) => bank.remove(keys.map(below), call),
    extend: (extend) => async (keys, until, call) => extend(keys.map(below), until, call),
  });
}
