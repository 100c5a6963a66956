import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isJsonObject } from '../../src/core/json-value.ts';

it('takes every JSON object that is short enough', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (value) => {
      expect(isJsonObject(JSON.parse(JSON.stringify(value)), 1_000_000)).toBe(true);
    }),
  );
});

it.each([
  ['null', null],
  ['a list', []],
  ['a text', 'text'],
  ['no number', { a: Number.NaN }],
  ['no end', { a: Infinity }],
  ['a date', { a: new Date() }],
  ['a map', { a: new Map() }],
  ['bytes', { a: new Uint8Array(1) }],
  ['a function', { a: () => 1 }],
  ['a symbol', { a: [Symbol('a')] }],
  ['a large number', { a: 1n }],
  ['a gap', { a: [undefined] }],
  ['too much', { a: 'x'.repeat(100) }],
  ['too many', { a: Array.from({ length: 100 }, () => 1) }],
])('refuses %s', (_, value) => {
  expect(isJsonObject(value, 100)).toBe(false);
});

it('passes over members that are undefined, as encoding does', () => {
  expect(isJsonObject({ a: undefined, b: 1 }, 100)).toBe(true);
});

it('refuses what is in itself, and what is too deep', () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  expect(isJsonObject(circle, 1_000_000)).toBe(false);
  expect(isJsonObject(JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`), 1_000_000)).toBe(false);
});
