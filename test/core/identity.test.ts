import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isBankKey } from '../../src/core/bank-keys.ts';
import {
  isId,
  joinParts,
  parseCheckpointId,
  parseJobId,
  parsePlanId,
  parseTenantId,
  randomIds,
  splitParts,
} from '../../src/core/identity.ts';

const parsers = { tenant: parseTenantId, plan: parsePlanId, checkpoint: parseCheckpointId, job: parseJobId };

describe.each(Object.entries(parsers))('a %s id', (kind, parse) => {
  it.each(['a', '0', 'Acme.corp_1-x', 'a..b', 'x'.repeat(120)])('may be %s', (text) => {
    expect(parse(text)).toBe(text);
  });

  it.each<unknown>([
    '',
    '.',
    '..',
    '../x',
    '-x',
    '_x',
    'a/b',
    'a\\b',
    'a=b',
    'a b',
    'a\n',
    '\na',
    'a\u0000',
    'ä',
    'а', // Cyrillic
    'x'.repeat(121),
    'x'.repeat(200),
    undefined,
    null,
    7,
    ['a'],
    {},
    Symbol('a'),
    Object.create(null),
  ])('is refused for what has not the form (%#)', (text) => {
    const failure = { code: 'INVALID_ID', message: expect.stringMatching(new RegExp(`^not a ${kind} id: `)) };
    expect(() => parse(text as string)).toThrow(expect.objectContaining(failure));
  });

  it('is named in the message, but never at length', () => {
    expect(() => parse('../x')).toThrow(`not a ${kind} id: "../x"`);
    expect(() => parse('!'.repeat(1e6))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,200}$/) }),
    );
  });
});

it('whatever is an id is a segment of a bank key', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 140, unit: fc.constantFrom('a', 'Z', '0', '.', '_', '-', '/', '=', 'é') }),
      (text) => {
        if (isId(text)) expect(isBankKey(text) && isBankKey(`a/${text}/b`)).toBe(true);
        else expect(() => parseTenantId(text)).toThrow(expect.objectContaining({ code: 'INVALID_ID' }));
      },
    ),
    { numRuns: 1_000 },
  );
});

describe('joined parts', () => {
  it('are joined by slashes, which are escaped inside them', () => {
    expect(joinParts('snapshot', 'rack/1', 'Local::Volume', '50%')).toBe(
      'snapshot/rack%2F1/Local::Volume/50%25',
    );
    expect(joinParts('a/b', 'c')).not.toBe(joinParts('a', 'b/c'));
    expect(joinParts('a%2Fb')).not.toBe(joinParts('a/b'));
    expect(joinParts('', '')).toBe('/');
  });

  it('are told apart again, whatever they hold', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '/', '%', '2', 'F', '5', ':', ' ', 'é', '\u0000') });
    const parts = fc.array(fc.oneof(part, fc.string()), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(parts, (list) => {
        expect(splitParts(joinParts(...list))).toEqual(list);
      }),
      { numRuns: 300 },
    );
  });
});

describe('random ids', () => {
  it('sort by the millisecond they were made in, until long after us', () => {
    const latest = Date.UTC(9999, 0);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: latest }), fc.integer({ min: 0, max: latest }), (a, b) => {
        fc.pre(a !== b);
        expect(randomIds(a) < randomIds(b)).toBe(a < b);
      }),
    );
  });

  it('are ids, and differ within a millisecond', () => {
    const made = Array.from({ length: 10_000 }, () => randomIds(1));
    expect(new Set(made).size).toBe(made.length);
    expect(made.every(isId)).toBe(true);
  });
});
