import assert from 'node:assert/strict';
import { FafnirError } from '../../core/errors.ts';
import {
  creating,
  holds,
  largeBody,
  listed,
  live,
  ORDERED,
  type Obligation,
  put,
  refuses,
  rejectsWith,
  replacing,
  text,
  whole,
} from './obligation.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=-';
const LONGEST = `${'l'.repeat(200)}/${'m'.repeat(200)}/${'n'.repeat(110)}`;
const ODD_KEYS = [
  ...['', '/', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/..', 'a/../b', 'a/./b', './a', '/etc/passwd'],
  ...[
    'a b',
    'a\\b',
    '..\\a',
    'a\0b',
    'a\n',
    'a~',
    '~temporary/a',
    'a%2fb',
    'a:b',
    'a*',
    'é',
    'a\u2024b',
    `${LONGEST}n`,
  ],
];

/** Which keys there are. */
export const KEYS: readonly Obligation[] = [
  {
    name: 'takes every key that the contract allows',
    async run(bank) {
      const keys = [
        ALPHABET,
        `deep/${'d/'.repeat(200)}end`,
        '...',
        '.hidden/..double',
        '-',
        '=',
        '_',
        LONGEST,
      ].sort();
      await put(bank, ...keys);
      for (const key of keys) await holds(bank, key, key);
      assert.deepEqual(await listed(bank), keys);
      await bank.remove(keys, live);
      assert.deepEqual(await listed(bank), []);
    },
  },
  {
    name: 'refuses any other key with INVALID_KEY and does nothing',
    async run(bank) {
      await put(bank, 'object');
      for (const key of ODD_KEYS) {
        await refuses(() => bank.put(key, text('odd'), replacing), 'INVALID_KEY');
        await refuses(() => bank.put(key, text('odd'), creating), 'INVALID_KEY');
        await refuses(() => bank.get(key, whole, live), 'INVALID_KEY');
        await refuses(() => bank.head(key, live), 'INVALID_KEY');
        await refuses(() => bank.remove(['object', key], live), 'INVALID_KEY');
      }
      assert.deepEqual(await listed(bank), ['object']);
    },
  },
  {
    name: 'refuses a prefix that no key begins with',
    async run(bank) {
      for (const prefix of ['/', '/a', 'a//', '../', 'a/../b', './', 'a b', 'a\\', '~']) {
        await refuses(() => listed(bank, prefix), 'INVALID_KEY');
      }
    },
  },
];

/** What a gone caller means. */
export const ABORTS: readonly Obligation[] = [
  {
    name: 'does nothing for a caller who is gone',
    async run(bank) {
      await put(bank, 'object');
      const reason = new FafnirError('CANCELLED', 'the caller is gone');
      const call = { signal: AbortSignal.abort(reason) };
      await rejectsWith(() => bank.put('new', text('new'), { ...call, ifAbsent: true }), reason);
      await rejectsWith(() => bank.put('object', text('new'), { ...call, ifAbsent: false }), reason);
      await rejectsWith(() => bank.get('object', whole, call), reason);
      await rejectsWith(() => bank.head('object', call), reason);
      await rejectsWith(() => bank.remove(['object'], call), reason);
      await rejectsWith(async () => {
        for await (const { key } of bank.list('', call)) assert.fail(`listed ${key}`);
      }, reason);
      assert.deepEqual(await listed(bank), ['object']);
      await holds(bank, 'object', 'object');
    },
  },
  {
    name: 'ends a list when its caller goes',
    async run(bank) {
      await put(bank, ...ORDERED);
      const caller = new AbortController();
      const reason = new FafnirError('CANCELLED', 'the caller is gone');
      await rejectsWith(async () => {
        for await (const _ of bank.list('', { signal: caller.signal })) caller.abort(reason);
      }, reason);
    },
  },
  {
    name: 'leaves a whole object or none when the caller goes during a put',
    async run(bank) {
      const caller = new AbortController();
      const body = largeBody();
      const parts = Array.from({ length: 4 }, () => body);
      const stored = bank.put('object', parts, { signal: caller.signal, ifAbsent: false });
      caller.abort(new FafnirError('CANCELLED', 'the caller is gone'));
      const [outcome] = await Promise.allSettled([stored]);
      if (outcome.status === 'fulfilled') await holds(bank, 'object', Buffer.concat(parts));
      else assert.ok([0, 4 * body.length].includes((await bank.head('object', live))?.size ?? 0));
    },
  },
];
