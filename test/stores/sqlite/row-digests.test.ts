import { describe, expect, it } from 'vitest';
import { RowDigests } from '../../../src/stores/sqlite/row-digests.ts';

const MANY = 100_000;

describe('row digests', () => {
  it.each([
    ['that differ at the end', (at: number) => `main/Local::Volume/${at}`],
    ['that differ at the beginning only', (at: number) => `${at}/of-the-same-ending`],
    ['that are one character each', (at: number) => String.fromCodePoint(0x10000 + at)],
    ['that hold the same characters in another order', (at: number) => [...String(at)].sort().join('') + at],
  ])('of names %s are all new, and all known the second time', (_, name) => {
    const digests = new RowDigests();
    const all = Array.from({ length: MANY }, (_, at) => name(at));
    const distinct = new Set(all).size;
    expect(all.filter((one) => digests.add('result', one))).toHaveLength(distinct);
    expect(all.filter((one) => digests.add('result', one))).toEqual([]);
    expect(all.slice(0, 100).filter((one) => !digests.add('intent', one))).toEqual([]);
  });
});
