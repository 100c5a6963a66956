import { describe, expect, test } from 'vitest';
import { parseQemuImgMap } from '../../../src/clients/host/qemu-img.ts';

async function parse(...lines: string[]) {
  const extents = [];
  for await (const extent of parseQemuImgMap(lines)) extents.push(extent);
  return extents;
}

const ZERO =
  '{ "start": 0, "length": 999424, "depth": 0, "present": true, "zero": true, "data": false, "offset": 0}';
const DATA =
  '{ "start": 999424, "length": 577, "depth": 0, "present": true, "zero": false, "data": true, "offset": 999424}';
const PAST =
  '{ "start": 1000001, "length": 447, "depth": 0, "present": true, "zero": true, "data": false, "offset": 1000001}';

describe('what qemu-img map prints', () => {
  test('of a sparse file that ends within a sector', async () => {
    expect(await parse(`[${ZERO},`, `${DATA},`, `${PAST}]`)).toEqual([
      { offset: 0, length: 999424, zero: true },
      { offset: 999424, length: 577, zero: false },
      { offset: 1000001, length: 447, zero: true },
    ]);
  });

  test('of an empty file', async () => {
    const none = '{ "start": 0, "length": 0, "depth": 0, "present": false, "zero": false, "data": false}';
    expect(await parse(`[${none}]`)).toEqual([]);
    expect(await parse('[]')).toEqual([]);
  });

  test('newer versions may add fields, and data is data whatever else is said', async () => {
    const both = ZERO.replace('"data": false', '"data": true, "compressed": false');
    expect(await parse(`[${both}]`)).toEqual([{ offset: 0, length: 999424, zero: false }]);
  });

  test.each([
    ['a gap', [`[${ZERO},`, `${PAST}]`]],
    ['a missing field', ['[{ "start": 0, "length": 1, "present": true, "zero": true}]']],
    ['a field of another type', [`[${ZERO.replace('999424', '"many"')}]`]],
    ['no end', [`[${ZERO},`]],
    ['something after the end', [`[${ZERO}]`, `[${DATA}]`]],
    ['something else', ['Image is corrupt']],
    ['nothing', []],
  ])('is refused with %s', async (_, lines) => {
    await expect(parse(...lines)).rejects.toMatchObject({ code: 'WRONG_ANSWER' });
  });
});
