import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { parseOptions, strictOptions } from '../../src/core/options.ts';

const schema = strictOptions({
  root: z.string().min(1),
  depth: z.int().min(0).exactOptional(),
  inner: strictOptions({ key: z.string() }).exactOptional(),
});

const refused = (value: unknown): string => {
  try {
    parseOptions('make', schema, value);
  } catch (error) {
    expect(error).toMatchObject({ name: 'FafnirError', code: 'INVALID_OPTIONS', retryable: false });
    return error instanceof Error ? error.message : '';
  }
  throw new Error('the options were accepted');
};

describe('parseOptions', () => {
  it('returns what the schema made of the value', () => {
    expect(parseOptions('make', schema, { root: '/a', depth: 1 })).toEqual({ root: '/a', depth: 1 });
    expect(parseOptions('make', z.string().transform(Number), '7')).toBe(7);
  });

  it('names the function, the unknown option and the valid ones', () => {
    expect(refused({ root: '/a', dept: 1 })).toBe(
      'make: unknown option dept; the valid options are root, depth, inner',
    );
    expect(refused({ root: '/a', one: 1, two: 2 })).toContain('unknown option one, two');
  });

  it('names the path of what is wrong inside', () => {
    expect(refused({ root: '/a', inner: { key: 1 } })).toMatch(/^make: inner\.key: /);
    expect(refused({ root: '/a', inner: { key: 'x', more: 1 } })).toBe(
      'make: inner: unknown option more; the valid options are key',
    );
  });

  it('names all that is wrong at once', () => {
    expect(refused({ root: '', depth: -1 })).toMatch(/^make: root: .*; depth: /);
  });

  it.each([undefined, null, 'text', 7, [], () => undefined])('refuses %s for options', (value) => {
    expect(refused(value)).toMatch(/^make: /);
  });

  it('refuses undefined for an option that was left out', () => {
    expect(refused({ root: '/a', depth: undefined })).toMatch(/^make: depth: /);
  });

  it('never repeats a value, which may be a secret', () => {
    const message = refused({ root: 7, depth: 'hunter2', inner: { key: ['hunter2'] } });
    expect(message).not.toContain('hunter2');
  });

  it('refuses a schema that answers later', () => {
    const later = z.string().refine(async () => true);
    expect(() => parseOptions('make', later, 'x')).toThrow(/asynchronously/);
  });

  it('reads the paths of any standard schema', () => {
    const other: StandardSchemaV1<unknown, never> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => ({ issues: [{ message: 'is wrong', path: [{ key: 'a' }, 0, Symbol('b')] }] }),
      },
    };
    expect(() => parseOptions('make', other, {})).toThrow('make: a.0.Symbol(b): is wrong');
  });
});
