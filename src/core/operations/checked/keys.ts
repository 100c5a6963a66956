import * as z from 'zod';
import type { KeyProvider, WrappedKey } from '../../contracts/index.ts';
import { pluginOf } from '../plugin.ts';
import { answerOf, refusalOf } from './answers.ts';

const LARGEST_KEY = 256;

const name = z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 of a-z 0-9 -');
const wrapped: z.ZodType<WrappedKey> = z.object({
  by: name,
  bytes: z
    .string()
    .min(1)
    .max(4_096)
    .refine((value) => Buffer.from(value, 'base64').toString('base64') === value, 'must be base64'),
});
const key = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length >= 1 && value.length <= LARGEST_KEY,
  `must be 1 to ${LARGEST_KEY} bytes`,
);

/** A key provider whose answers are looked at: what cannot be true is `WRONG_ANSWER`, which says nothing of the key. */
export function checkedKeys(keys: KeyProvider): KeyProvider {
  const refuse = refusalOf('the key provider');
  return pluginOf<KeyProvider>({
    contract: keys.contract,
    current: async (call) =>
      answerOf(refuse, 'the name of its key-encryption key', name, await keys.current(call)),
    wrap: async (plain, context, call) =>
      answerOf(refuse, 'a wrapped key', wrapped, await keys.wrap(plain, context, call)),
    unwrap: async (one, context, call) =>
      answerOf(refuse, 'an unwrapped key', key, await keys.unwrap(one, context, call)),
  });
}
