import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, Resource, ResourceRule } from '../../../src/core/contracts/index.ts';
import { anyMatcherOf, matcherOf, parseSelector } from '../../../src/core/graph/selection.ts';
import { resourceOf } from './system.ts';

const shop: Resource = {
  type: 'Test::Server',
  id: 'web',
  name: 'shop-web-1',
  tags: { tier: 'gold', owner: '' },
  attributes: { size: { cpus: 2, disks: [1, 2] }, zone: 'a', gone: null },
};

const matches = (rule: ResourceRule, resource: Resource = shop): boolean => matcherOf(rule)(resource);

describe('a rule', () => {
  it.each<[ResourceRule]>([
    [{ type: 'Test::Server' }],
    [{ tags: { tier: 'gold' } }],
    [{ tags: { tier: null } }],
    [{ tags: { owner: null, tier: 'gold' } }],
    [{ tags: { owner: '' } }],
    [{ name: 'shop-web-1' }],
    [{ name: 'shop-*' }],
    [{ attributes: { zone: 'a' } }],
    [{ attributes: { size: { disks: [1, 2], cpus: 2 } } }],
    [{ attributes: { gone: null } }],
    [{ type: 'Test::Server', tags: { tier: 'gold' }, name: '*web*', attributes: { zone: 'a' } }],
  ])('chooses what fits: %j', (rule) => {
    expect(matches(rule)).toBe(true);
  });

  it.each<[ResourceRule]>([
    [{ type: 'Test::Serve' }],
    [{ tags: { tier: 'silver' } }],
    [{ tags: { tier: 'gold', team: null } }],
    [{ tags: { constructor: null } }],
    [{ name: 'Shop-web-1' }],
    [{ name: 'shop' }],
    [{ attributes: { zone: 'b' } }],
    [{ attributes: { size: { cpus: 2 } } }],
    [{ attributes: { size: { cpus: 2, disks: [2, 1] } } }],
    [{ attributes: { none: null } }],
    [{ attributes: { toString: null } }],
    [{ type: 'Test::Volume', tags: { tier: 'gold' }, name: '*web*', attributes: { zone: 'a' } }],
    [{ type: 'Test::Server', tags: { tier: 'gold' }, name: '*db*', attributes: { zone: 'a' } }],
  ])('leaves what does not: %j', (rule) => {
    expect(matches(rule)).toBe(false);
  });

  it('chooses nothing by tags that has none', () => {
    expect(matches({ tags: { tier: null } }, resourceOf('Test::Server', 'x'))).toBe(false);
  });
});

describe('a name pattern', () => {
  it('fits what the regular expression of the same meaning fits', () => {
    const letters = fc.constantFrom('a', 'b', '*', '.');
    fc.assert(
      fc.property(
        fc.string({ unit: letters, maxLength: 8 }),
        fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 10 }),
        (name, text) => {
          const parts = name.split('*').map((part) => part.replaceAll('.', '\\.'));
          const expected = new RegExp(`^${parts.join('.*')}$`, 's').test(text);
          expect(matches({ name }, { ...shop, name: text })).toBe(expected);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('answers at once where an expression that tries again would take for ever', () => {
    const name = `${'a*'.repeat(500)}b`;
    expect(matches({ name }, { ...shop, name: 'a'.repeat(100_000) })).toBe(false);
    expect(matches({ name }, { ...shop, name: `${'a'.repeat(100_000)}b` })).toBe(true);
  });

  it('spans lines, and takes everything but the star for itself', () => {
    expect(matches({ name: 'a*b' }, { ...shop, name: 'a\nb' })).toBe(true);
    expect(matches({ name: 'a.b' }, { ...shop, name: 'axb' })).toBe(false);
    expect(matches({ name: 'a*a' }, { ...shop, name: 'a' })).toBe(false);
  });
});

/** Lists in each other, so many levels deep. */
function nested(levels: number): Json {
  let value: Json = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

describe('selectors', () => {
  it('choose what any of them chooses', () => {
    const chosen = anyMatcherOf([{ type: 'T', id: 'a' }, { tags: { tier: null } }]);
    expect(chosen(resourceOf('T', 'a'))).toBe(true);
    expect(chosen(resourceOf('U', 'a'))).toBe(false);
    expect(chosen(resourceOf('T', 'b'))).toBe(false);
    expect(chosen(shop)).toBe(true);
    expect(anyMatcherOf([])(shop)).toBe(false);
  });

  it.each([
    [{ type: 'T', id: 'a' }],
    [{ type: 'T' }],
    [{ tags: { a: null, constructor: 'x' }, name: '*' }],
    [{ attributes: { a: nested(31), toString: { x: null } } }],
  ])('are taken from outside as they are: %j', (selector) => {
    expect(parseSelector('plans.create', selector)).toEqual(selector);
  });

  it.each([
    [{}, /at least one condition/],
    [{ tags: {}, attributes: {} }, /at least one condition/],
    [{ id: 'a' }, /type/],
    [{ type: '', id: 'a' }, /type/],
    [{ type: 'T', id: 'a', name: 'x' }, /unknown option name/],
    [{ type: 'T', tag: 'x' }, /unknown option tag/],
    [{ tags: { a: 7 } }, /tags\.a/],
    [{ name: 'x'.repeat(2_000) }, /name/],
    [{ attributes: { a: 1n } }, /attributes/],
    [JSON.parse('{"type":"T","tags":{"__proto__":"x"}}'), /tags.*__proto__/],
    [JSON.parse('{"type":"T","attributes":{"__proto__":1}}'), /attributes.*__proto__/],
    [JSON.parse('{"type":"T","attributes":{"size":[{"__proto__":1}]}}'), /attributes.*__proto__/],
    [JSON.parse('{"type":"T","__proto__":{"x":1}}'), /unknown option __proto__/],
    [{ attributes: { a: nested(32) } }, /attributes.*at most 32 levels deep/],
    [{ attributes: { a: nested(100_000) } }, /attributes.*at most 32 levels deep/],
    [{ attributes: { a: undefined } }, /attributes\.a/],
    [{ type: 'T', attributes: { a: { b: undefined } } }, /attributes\.a/],
    [{ attributes: ['a'] }, /attributes/],
    [null, /plans\.create/],
    ['T', /plans\.create/],
  ])('are refused: number %#', (selector, message) => {
    expect(() => parseSelector('plans.create', selector)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS', message: expect.stringMatching(message) }),
    );
  });

  it('that are rules without a condition choose nothing, and certainly not everything', () => {
    expect(() => matcherOf({})).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
    expect(() => anyMatcherOf([{ tags: {} }])).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
  });
});
