import type { JsonObject } from './contracts/json.ts';

const DEEPEST = 64;
// Of a number, `true`, `false` or `null`; a little more than most need.
const WORD = 8;

/**
 * Whether a value is a JSON object that is about as long as `most` characters at most and no deeper than 64. Members that
 * are undefined are as good as missing, as they are when it is encoded; whatever else JSON has no word for is refused,
 * where encoding it would lose or change it.
 */
export const isJsonObject = (value: unknown, most: number): value is JsonObject =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  lengthOf(value, DEEPEST, most) <= most;

function lengthOf(value: unknown, depth: number, most: number): number {
  switch (typeof value) {
    case 'string':
      return value.length + 2;
    case 'number':
      return Number.isFinite(value) ? WORD : Infinity;
    case 'boolean':
      return WORD;
    case 'object':
      return value === null ? WORD : lengthOfObject(value, depth, most);
    default:
      return Infinity;
  }
}

function lengthOfObject(value: object, depth: number, most: number): number {
  if (depth === 0) return Infinity;
  const isList = Array.isArray(value);
  if (!isList && !isPlain(value)) return Infinity;
  let length = 2;
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined && !isList) continue;
    length += lengthOf(member, depth - 1, most) + (isList ? 1 : name.length + 4);
    if (length > most) return Infinity;
  }
  return length;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}
