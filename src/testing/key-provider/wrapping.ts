import assert from 'node:assert/strict';
import type { WrappedKey } from '../../core/contracts/index.ts';
import { bytesOf, CONTEXT, forEach, holds, keyOf, live, type Obligation } from './obligation.ts';

const ID = /^[a-z0-9-]{1,64}$/;
const LONGEST_BYTES = 4_096;

/** What goes in comes out. */
export const WRAPPING: readonly Obligation[] = [
  {
    name: 'declares its contract and names its current key-encryption key',
    async run(provider) {
      assert.equal(provider.contract, 1);
      const current = await provider.current(live);
      assert.match(current, ID);
      assert.equal(await provider.current(live), current, 'it changed by itself');
    },
  },
  {
    name: 'gives back keys of 1 to 256 bytes',
    async run(provider) {
      await forEach([1, 2, 15, 16, 17, 31, 32, 33, 64, 255, 256], async (size) => {
        const key = keyOf(size, size);
        await holds(provider, await provider.wrap(key, CONTEXT, live), CONTEXT, key);
      });
      for (const key of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
        await holds(provider, await provider.wrap(key, CONTEXT, live), CONTEXT, key);
      }
    },
  },
  {
    name: 'takes contexts of 1 to 1,024 characters',
    async run(provider) {
      const contexts = [
        'c',
        'c'.repeat(1_024),
        '\u20ac'.repeat(1_024),
        ' ',
        'a\0b',
        'a\nb',
        '{"a":"\u00e9\u{1f511}"}',
      ];
      await forEach(contexts, async (context) => {
        await holds(provider, await provider.wrap(keyOf(32), context, live), context, keyOf(32));
      });
    },
  },
  {
    name: 'answers with the current key-encryption key and bounded base64, which survive being stored as JSON',
    async run(provider) {
      await forEach([1, 32, 256], async (size) => {
        const wrapped = await provider.wrap(keyOf(size), CONTEXT, live);
        assert.equal(wrapped.by, await provider.current(live));
        assert.ok(wrapped.bytes.length <= LONGEST_BYTES);
        assert.equal(
          Buffer.from(bytesOf(wrapped)).toString('base64'),
          wrapped.bytes,
          'no base64 of RFC 4648',
        );
        const stored: WrappedKey = JSON.parse(JSON.stringify(wrapped));
        assert.deepEqual(stored, { by: wrapped.by, bytes: wrapped.bytes });
        await holds(provider, stored, CONTEXT, keyOf(size));
      });
    },
  },
  {
    name: 'wraps a key again: the first and the second can both be unwrapped, any number of times',
    async run(provider) {
      const first = await provider.wrap(keyOf(32), CONTEXT, live);
      const second = await provider.wrap(keyOf(32), CONTEXT, live);
      for (const wrapped of [first, second, second, first])
        await holds(provider, wrapped, CONTEXT, keyOf(32));
    },
  },
  {
    name: 'keeps keys apart that are wrapped and unwrapped at one time',
    async run(provider) {
      const seeds = Array.from({ length: 40 }, (_, index) => index);
      const all = await Promise.all(
        seeds.map((seed) => provider.wrap(keyOf(32, seed), `${CONTEXT}/${seed}`, live)),
      );
      await Promise.all(
        all.map((wrapped, seed) => holds(provider, wrapped, `${CONTEXT}/${seed}`, keyOf(32, seed))),
      );
    },
  },
  {
    name: 'wraps of a key only what it shows of a larger buffer, and does not change it',
    async run(provider) {
      const buffer = keyOf(96);
      const shown = buffer.subarray(32, 64);
      const wrapped = await provider.wrap(shown, CONTEXT, live);
      assert.ok(Buffer.from(keyOf(96)).equals(buffer), 'it changed the key that it was given');
      await holds(provider, wrapped, CONTEXT, keyOf(96).subarray(32, 64));
    },
  },
  {
    name: 'gives keys in memory of their own, which the caller may overwrite or transfer',
    async run(provider) {
      const given = keyOf(32);
      const wrapped = await provider.wrap(given, CONTEXT, live);
      given.fill(0);
      const other = await provider.unwrap(wrapped, CONTEXT, live);
      const found = await provider.unwrap(wrapped, CONTEXT, live);
      found.fill(0);
      assert.equal(found.buffer.byteLength, found.byteLength, 'the memory holds more than the key');
      structuredClone(found.buffer, { transfer: [found.buffer as ArrayBuffer] });
      assert.ok(Buffer.from(keyOf(32)).equals(other), 'one answer changed with another');
      await holds(provider, wrapped, CONTEXT, keyOf(32));
    },
  },
];
