import assert from 'node:assert/strict';
import {
  inOrder,
  listed,
  live,
  type Obligation,
  objects,
  ORDERED,
  put,
  replacing,
  text,
} from './obligation.ts';

/** Order, prefix, after, and lists of a bank that changes. */
export const LISTS: readonly Obligation[] = [
  {
    name: 'lists nothing in an empty bank',
    async run(bank) {
      assert.deepEqual(await objects(bank), []);
      assert.deepEqual(await objects(bank, 'no/such/folder/', 'after'), []);
    },
  },
  {
    name: 'lists keys in the order of their bytes',
    async run(bank) {
      await put(bank, ...ORDERED.toReversed());
      assert.deepEqual(await inOrder(bank), ORDERED);
    },
  },
  {
    name: 'lists what head tells',
    async run(bank) {
      await put(bank, 'short', 'rather/long');
      for (const object of await objects(bank)) assert.deepEqual(object, await bank.head(object.key, live));
    },
  },
  {
    name: 'lists by prefix: a folder, the middle of a segment, a whole key',
    async run(bank) {
      await put(bank, ...ORDERED);
      for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b-', 'a/b-c/', 'a/b-c/d', 'b/a', 'c', 'a/c/d', 'a/b/']) {
        const expected = ORDERED.filter((key) => key.startsWith(prefix));
        assert.deepEqual(await listed(bank, prefix), expected, prefix);
      }
    },
  },
  {
    name: 'lists only what comes after a key, whether or not that exists',
    async run(bank) {
      await put(bank, ...ORDERED);
      for (const after of [...ORDERED, '0', 'a', 'a/a', 'a/b-b', 'a/b-c', 'a/b-c/e', 'b/a', 'b1']) {
        const expected = ORDERED.filter((key) => key > after);
        assert.deepEqual(await listed(bank, '', after), expected, after);
      }
    },
  },
  {
    name: 'lists by prefix and after together',
    async run(bank) {
      await put(bank, ...ORDERED);
      for (const prefix of ['a/', 'a/b', 'b/a/', 'c']) {
        for (const after of ['A', 'a/b', 'a/b-c/d', 'a/b.c', 'b/a/z', 'z']) {
          const expected = ORDERED.filter((key) => key.startsWith(prefix) && key > after);
          assert.deepEqual(await listed(bank, prefix, after), expected, `${prefix} after ${after}`);
        }
      }
    },
  },
  {
    name: 'lists 1,100 objects once each, and goes on from any of them',
    async run(bank) {
      const keys = Array.from({ length: 1_100 }, (_, index) => `many/${index % 11}/${index}`).sort();
      for (let start = 0; start < keys.length; start += 50) {
        await Promise.all(keys.slice(start, start + 50).map((key) => bank.put(key, text(key), replacing)));
      }
      assert.deepEqual(await inOrder(bank, 'many/'), keys);
      for (const position of [0, 499, 999, 1_000, 1_099]) {
        assert.deepEqual(await inOrder(bank, 'many/', keys[position]), keys.slice(position + 1));
      }
    },
  },
  {
    name: 'lists all others while some are removed and put',
    async run(bank) {
      const keys = Array.from({ length: 60 }, (_, index) => `${index % 6}/${index}`);
      await put(bank, ...keys);
      const staying = keys.filter((_, index) => index % 2 === 0).sort();
      const found: string[] = [];
      for await (const { key } of bank.list('', live)) {
        if (found.length === 5) {
          await bank.remove(
            keys.filter((_, index) => index % 2 === 1),
            live,
          );
          await put(bank, '0/new', '5/new', 'new/new');
        }
        found.push(key);
      }
      assert.deepEqual(found.filter((key) => staying.includes(key)).sort(), staying);
      assert.equal(new Set(found).size, found.length);
    },
  },
  {
    name: 'lists twice at a time, and again after a loop was left',
    async run(bank) {
      await put(bank, ...ORDERED);
      for await (const { key } of bank.list('', live)) {
        assert.ok(ORDERED.includes(key));
        break;
      }
      const [first, second] = await Promise.all([listed(bank), listed(bank)]);
      assert.deepEqual(first, ORDERED);
      assert.deepEqual(second, ORDERED);
    },
  },
];
