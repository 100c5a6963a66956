import assert from 'node:assert/strict';
import { FafnirError } from '../../core/errors.ts';
import { CONTEXT, holds, keyOf, live, type Obligation, refuses } from './obligation.ts';

// The first is in the prototype of every object.
const NOT_HELD = ['constructor', 'fafnir-suite-has-no-such-key', '0', '-', 'a'.repeat(64)];
const NO_IDS = [
  '',
  'A',
  '__proto__',
  '../../etc/passwd',
  'a b',
  'a\0',
  '\u00e9',
  'a'.repeat(65),
  'a'.repeat(100_000),
];

/** What is refused, and that an abort is heard. */
export const REFUSALS: readonly Obligation[] = [
  {
    name: 'refuses a key-encryption key that it does not hold with UNKNOWN_KEY, and goes on',
    async run(provider) {
      const wrapped = await provider.wrap(keyOf(32), CONTEXT, live);
      for (const by of NOT_HELD) {
        const error = await refuses(
          by,
          () => provider.unwrap({ ...wrapped, by }, CONTEXT, live),
          'UNKNOWN_KEY',
        );
        assert.ok(error instanceof Error && error.message.includes(by), 'the message does not name it');
      }
      await holds(provider, wrapped, CONTEXT, keyOf(32));
    },
  },
  {
    name: 'refuses what cannot be a key-encryption key’s name, and does not fill its message with it',
    async run(provider) {
      const { bytes } = await provider.wrap(keyOf(32), CONTEXT, live);
      for (const by of NO_IDS) {
        const unwrap = () => provider.unwrap({ by, bytes }, CONTEXT, live);
        const error = await refuses(JSON.stringify(by.slice(0, 80)), unwrap, 'UNKNOWN_KEY', 'CORRUPT');
        assert.ok(error instanceof Error && error.message.length <= 4_096);
      }
    },
  },
  {
    name: 'refuses to wrap no bytes or 257 with INVALID_OPTIONS',
    async run(provider) {
      for (const size of [0, 257, 100_000]) {
        await refuses(`${size} bytes`, () => provider.wrap(keyOf(size), CONTEXT, live), 'INVALID_OPTIONS');
      }
    },
  },
  {
    name: 'refuses to wrap with a context of no characters or 1,025 with INVALID_OPTIONS',
    async run(provider) {
      for (const size of [0, 1_025, 100_000]) {
        const wrap = () => provider.wrap(keyOf(32), 'c'.repeat(size), live);
        await refuses(`${size} characters`, wrap, 'INVALID_OPTIONS');
      }
    },
  },
  {
    name: 'takes no two contexts for one where text is not well-formed',
    async run(provider) {
      const wrap = () => provider.wrap(keyOf(32), 'context \ud800', live);
      const [outcome] = await Promise.allSettled([wrap()]);
      if (outcome.status === 'rejected') {
        assert.ok(FafnirError.is(outcome.reason, 'INVALID_OPTIONS'), String(outcome.reason));
        return;
      }
      for (const other of ['context \ud801', 'context \ufffd']) {
        await refuses('another context', () => provider.unwrap(outcome.value, other, live), 'CORRUPT');
      }
    },
  },
  {
    name: 'does nothing for a caller who is gone',
    async run(provider) {
      const wrapped = await provider.wrap(keyOf(32), CONTEXT, live);
      const reason = new FafnirError('CANCELLED', 'the caller is gone');
      const call = { signal: AbortSignal.abort(reason) };
      for (const work of [
        () => provider.current(call),
        () => provider.wrap(keyOf(32), CONTEXT, call),
        () => provider.unwrap(wrapped, CONTEXT, call),
      ]) {
        const [outcome] = await Promise.allSettled([work()]);
        assert.ok(outcome.status === 'rejected', 'it answered a caller who is gone');
        const { reason: error } = outcome;
        assert.ok(error === reason || (error instanceof Error && error.cause === reason), String(error));
      }
      await holds(provider, wrapped, CONTEXT, keyOf(32));
    },
  },
];
