import { describe, expect, it } from 'vitest';
import { NameMap } from '../../src/core/name-map.ts';

describe('a name map', () => {
  it.each([
    ['that differ at the end', (at: number) => `main/Local::Volume/${at}`],
    ['that differ at the beginning only', (at: number) => `${at}/of-the-same-ending`],
    ['of odd characters', (at: number) => '\u{1f409}'.repeat(at)],
  ])('keeps names %s apart', (_, name) => {
    const map = new NameMap<number>();
    const all = Array.from({ length: 1_000 }, (_, at): [string, number] => [name(at), at]);
    for (const [one, at] of all) {
      expect(map.get(one)).toBeUndefined();
      expect(map.set(one, -1)).toBe(true);
      expect(map.set(one, at)).toBe(false);
    }
    for (const [one, at] of all) expect(map.get(one)).toBe(at);
    expect([...map.entries()].sort(([, a], [, b]) => a - b)).toEqual(all);
  });
});
