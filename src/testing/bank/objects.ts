import assert from 'node:assert/strict';
import {
  holds,
  largeBody,
  live,
  MEBIBYTE,
  type Obligation,
  put,
  refuses,
  replacing,
  text,
  whole,
} from './obligation.ts';

/** Bodies, ranges and facts. */
export const OBJECTS: readonly Obligation[] = [
  {
    name: 'gives back an object as it was put',
    async run(bank) {
      assert.equal(await bank.put('folder/object', text('body'), replacing), 'created');
      await holds(bank, 'folder/object', 'body');
    },
  },
  {
    name: 'stores empty objects, of an empty body or of no parts',
    async run(bank) {
      await bank.put('empty', new Uint8Array(), replacing);
      await bank.put('no-parts', [], replacing);
      for (const key of ['empty', 'no-parts']) {
        await holds(bank, key, '');
        assert.deepEqual(await bank.head(key, live), { key, size: 0 });
      }
    },
  },
  {
    name: 'writes the parts of a body one after the other',
    async run(bank) {
      const parts = Array.from({ length: 3_000 }, (_, index) => text(index % 7 === 0 ? '' : `${index},`));
      await bank.put('parts', parts, replacing);
      await holds(bank, 'parts', Buffer.concat(parts));
    },
  },
  {
    name: 'stores of a part only what it shows of a larger buffer',
    async run(bank) {
      const buffer = text('0123456789');
      await bank.put('one', buffer.subarray(2, 5), replacing);
      await bank.put('two', [buffer.subarray(8), buffer.subarray(0, 1)], replacing);
      await holds(bank, 'one', '234');
      await holds(bank, 'two', '890');
    },
  },
  {
    name: 'stores 5 MiB in one part and in many',
    async run(bank) {
      const body = largeBody();
      await bank.put('one', body, replacing);
      await holds(bank, 'one', body);
      const middle = 2 * MEBIBYTE + 12_345;
      const parts = [body.subarray(0, 7), body.subarray(7, middle), body.subarray(middle)];
      await bank.put('many', parts, replacing);
      await holds(bank, 'many', body);
    },
  },
  {
    name: 'reads exactly the bytes of a range',
    async run(bank) {
      await bank.put('digits', [text('01234'), text('56789')], replacing);
      const read = async (offset: number, length: number) =>
        Buffer.from(await bank.get('digits', { offset, length }, live)).toString();
      assert.equal(await read(0, 1), '0');
      assert.equal(await read(3, 4), '3456');
      assert.equal(await read(9, 1), '9');
      assert.equal(await read(0, 10), '0123456789');
      assert.equal(await read(5, 0), '');
    },
  },
  {
    name: 'refuses a range beyond the object with OUT_OF_RANGE',
    async run(bank) {
      await bank.put('digits', text('0123456789'), replacing);
      await bank.put('empty', new Uint8Array(), replacing);
      for (const [offset, length] of [
        [0, 11],
        [9, 2],
        [10, 1],
        [11, 1],
        [5, 2 ** 50],
        [-1, 2],
      ] as const) {
        await refuses(() => bank.get('digits', { offset, length }, live), 'OUT_OF_RANGE');
      }
      await refuses(() => bank.get('empty', { offset: 0, length: 1 }, live), 'OUT_OF_RANGE');
    },
  },
  {
    name: 'refuses a whole object above the limit with LIMIT_EXCEEDED',
    async run(bank) {
      await bank.put('digits', text('0123456789'), replacing);
      assert.equal((await bank.get('digits', { limit: 10 }, live)).length, 10);
      await refuses(() => bank.get('digits', { limit: 9 }, live), 'LIMIT_EXCEEDED');
      await refuses(() => bank.get('digits', { limit: 0 }, live), 'LIMIT_EXCEEDED');
    },
  },
  {
    name: 'has nothing where nothing was put, also above and below an object',
    async run(bank) {
      await put(bank, 'folder/object');
      for (const key of [
        'absent',
        'folder',
        'folder/other',
        'folder/object/below',
        'folder/object/far/below',
      ]) {
        await refuses(() => bank.get(key, whole, live), 'NOT_FOUND');
        await refuses(() => bank.get(key, { offset: 0, length: 1 }, live), 'NOT_FOUND');
        assert.equal(await bank.head(key, live), undefined);
      }
    },
  },
  {
    name: 'tells the size of an object',
    async run(bank) {
      await bank.put('folder/object', [text('12'), text('345')], replacing);
      assert.deepEqual(await bank.head('folder/object', live), { key: 'folder/object', size: 5 });
    },
  },
  {
    name: 'replaces an object as a whole',
    async run(bank) {
      for (const body of ['first and long', 'second', '']) {
        assert.equal(await bank.put('object', text(body), replacing), 'created');
        await holds(bank, 'object', body);
      }
    },
  },
  {
    name: 'shows a reader one whole body while it is replaced',
    async run(bank) {
      const bodies = ['a', 'b', 'c', 'd'].map((letter, index) => text(letter.repeat(100_000 + index)));
      await bank.put('object', bodies[0] ?? [], replacing);
      const isWhole = async () => {
        const found = Buffer.from(await bank.get('object', whole, live));
        assert.ok(bodies.some((body) => found.equals(body)));
      };
      await Promise.all(
        bodies.flatMap((body) => [bank.put('object', body, replacing), isWhole(), isWhole()]),
      );
      await isWhole();
    },
  },
  {
    name: 'shares no memory with its caller',
    async run(bank) {
      const body = text('body');
      await bank.put('object', body, replacing);
      await bank.put('other', text('other'), replacing);
      body.fill(0);
      const [found, other] = [await bank.get('object', whole, live), await bank.get('other', whole, live)];
      found.fill(0);
      await holds(bank, 'object', 'body');
      const part = await bank.get('object', { offset: 1, length: 2 }, live);
      part.fill(0);
      await holds(bank, 'object', 'body');
      // Callers hand what they read to workers by transfer.
      structuredClone(found.buffer, { transfer: [found.buffer as ArrayBuffer] });
      assert.equal(Buffer.from(other).toString(), 'other');
      await holds(bank, 'object', 'body');
    },
  },
];
