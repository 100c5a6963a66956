import { describe, expect, it } from 'vitest';
import { lengthOfSmallJson } from '../../src/core/small-json.ts';

const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

describe('small JSON', () => {
  it.each([
    [''],
    ['text'],
    [0],
    [-1.234567890123e-300],
    [false],
    [null],
    [[]],
    [{}],
    [[1, 'a', null, [true]]],
    [{ name: 'web', volumes: [{ id: 'a', size: 1 }], flavor: null }],
  ])('%j is, and about as long as said', (value) => {
    const encoded = JSON.stringify(value).length;
    const length = lengthOfSmallJson(value) ?? Number.NaN;
    expect(length).toBeGreaterThanOrEqual(encoded - 1);
    expect(length).toBeLessThanOrEqual(encoded + 24 * 10);
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
    ['a bigint', 1n],
    ['a field that is undefined', { a: undefined }],
    ['a hole', new Array(1)],
    ['a deep function', [{ a: [() => 1] }]],
    ['what encodes itself', new Date(0)],
    ['what encodes itself as nothing', { toJSON: () => undefined }],
    [
      'a getter that throws',
      Object.defineProperty({}, 'a', { enumerable: true, get: () => nested(Number.NaN) }),
    ],
    ['a long text', 'x'.repeat(5_000)],
    ['a long name', { ['x'.repeat(5_000)]: 1 }],
    ['many items', new Array(5_000).fill('')],
    ['what is deep', nested(9)],
  ])('%s may not be', (_, value) => {
    expect(lengthOfSmallJson(value)).toBeUndefined();
  });

  it('is not what contains itself', () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(lengthOfSmallJson(circle)).toBeUndefined();
  });
});
