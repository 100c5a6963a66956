import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { KeyProvider, WrappedKey } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { bytesOf, CONTEXT, keyOf, live, type Obligation, withBytes } from './obligation.ts';

type Failing = { readonly key: Uint8Array; readonly work: () => Promise<unknown> };

/** What nobody may see. */
export const SECRETS: readonly Obligation[] = [
  {
    name: 'does not show the key in what it wrapped',
    async run(provider) {
      const wrapped = await provider.wrap(keyOf(256), CONTEXT, live);
      const bytes = Buffer.from(bytesOf(wrapped));
      for (let start = 0; start + 8 <= 256; start += 8) {
        assert.equal(bytes.indexOf(keyOf(256).subarray(start, start + 8)), -1, 'a part of the key is in it');
      }
    },
  },
  {
    name: 'shows the key in no error, and not in itself',
    async run(provider) {
      const key = keyOf(32);
      const wrapped = await provider.wrap(key, CONTEXT, live);
      await provider.unwrap(wrapped, CONTEXT, live);
      assertHidden(provider, key, 'the provider');
      for (const { key: hidden, work } of failures(provider, key, wrapped)) {
        const [outcome] = await Promise.allSettled([work()]);
        // Whether it is refused is for other cases to tell.
        if (outcome.status === 'rejected') assertHidden(outcome.reason, hidden, 'an error');
      }
    },
  },
];

function failures(provider: KeyProvider, key: Uint8Array, wrapped: WrappedKey): readonly Failing[] {
  const flipped = bytesOf(wrapped).map((byte, index) => (index === 0 ? byte ^ 1 : byte));
  const gone = { signal: AbortSignal.abort(new FafnirError('CANCELLED', 'the caller is gone')) };
  const large = keyOf(257);
  return [
    { key, work: () => provider.unwrap(wrapped, `${CONTEXT}0`, live) },
    { key, work: () => provider.unwrap(withBytes(wrapped, flipped), CONTEXT, live) },
    { key, work: () => provider.unwrap({ ...wrapped, by: 'fafnir-suite-has-no-such-key' }, CONTEXT, live) },
    { key, work: () => provider.unwrap(wrapped, CONTEXT, gone) },
    { key, work: () => provider.wrap(key, '', live) },
    { key, work: () => provider.wrap(key, CONTEXT, gone) },
    { key: large, work: () => provider.wrap(large, CONTEXT, live) },
  ];
}

function assertHidden(value: unknown, key: Uint8Array, what: string): void {
  const shown = inspect(value, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null });
  const own = value instanceof Error ? `${value.message}\n${value.stack}` : '';
  const text = `${shown}\n${own}`;
  const bytes = Buffer.from(key);
  // Also as inspections print bytes: in hexadecimal with spaces, or as numbers in columns.
  const plain = text.replace(/[\s,]+/g, ' ');
  const isShown =
    text.includes(bytes.toString('base64').replace(/=+$/, '')) ||
    text.includes(bytes.toString('base64url')) ||
    text.toLowerCase().includes(bytes.toString('hex')) ||
    plain.includes(bytes.toString('hex').replace(/(..)(?!$)/g, '$1 ')) ||
    plain.includes(bytes.join(' '));
  assert.ok(!isShown, `${what} shows the key`);
}
