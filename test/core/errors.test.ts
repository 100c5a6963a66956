import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode, errorRecord, FafnirError } from '../../src/core/errors.ts';

/** The module as a second installed copy of the package would bring it. */
async function secondCopy(): Promise<typeof import('../../src/core/errors.ts')> {
  const copy = '../../src/core/errors.ts?copy';
  return import(copy);
}

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe('FafnirError.is', () => {
  it('recognises the errors of another copy of the package', async () => {
    const other = await secondCopy();
    expect(other.FafnirError).not.toBe(FafnirError);
    const foreign = new other.FafnirError('NOT_FOUND', 'gone');
    expect(foreign).not.toBeInstanceOf(FafnirError);
    expect(FafnirError.is(foreign)).toBe(true);
    expect(FafnirError.is(foreign, 'NOT_FOUND')).toBe(true);
    expect(FafnirError.is(foreign, 'CORRUPT')).toBe(false);
    expect(other.FafnirError.is(new FafnirError('NOT_FOUND', 'gone'))).toBe(true);
    expect(FafnirError.from(foreign, 'UNAVAILABLE', 'what')).toBe(foreign);
    expect(errorRecord(foreign)).toMatchObject({ code: 'NOT_FOUND', message: 'gone' });
  });

  it.each([
    undefined,
    null,
    'FafnirError',
    1,
    {},
    new Error('x'),
    { name: 'FafnirError', code: 'NOT_FOUND' },
  ])('is false for %s', (value) => {
    expect(FafnirError.is(value)).toBe(false);
  });
});

describe('an error', () => {
  it.each(codes)('of the code %s says whether to retry and what to do', (code) => {
    const error = new FafnirError(code, 'what happened');
    expect(error).toMatchObject({
      name: 'FafnirError',
      code,
      message: 'what happened',
      ...ERROR_CODES[code],
    });
    expect(error.hint).toMatch(/^[A-Z].*\.$/);
    expect('cause' in error).toBe(false);
  });

  it('takes the word of who knows better', () => {
    const facts = { cause: new Error('deeper'), retryable: true, hint: 'Wait.' };
    expect(new FafnirError('CORRUPT', 'x', facts)).toMatchObject(facts);
    expect(new FafnirError('UNAVAILABLE', 'x', { retryable: false }).retryable).toBe(false);
  });

  it('becomes a record without its cause and stack', () => {
    const error = new FafnirError('UNAVAILABLE', 'no answer', { cause: new Error('password: hunter2') });
    const record = errorRecord(error);
    expect(Object.keys(record).sort()).toEqual(['code', 'hint', 'message', 'retryable']);
    expect(JSON.stringify(record)).not.toContain('hunter2');
  });
});

describe('FafnirError.from', () => {
  it('keeps what was thrown as the cause', () => {
    const cause = new Error('deeper');
    const wrapped = FafnirError.from(cause, 'UNAVAILABLE', 'it failed');
    expect(wrapped).toMatchObject({ code: 'UNAVAILABLE', message: 'it failed: deeper', cause });
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a symbol', Symbol('odd')],
    ['an object without a prototype', Object.create(null)],
    ['an object that is no text', { toString: 'no function' }],
  ])('wraps whatever a plugin throws: %s', (_, value) => {
    expect(errorRecord(value)).toMatchObject({ code: 'PLUGIN_FAILED', message: expect.any(String) });
  });

  it('wraps any value at all into a record that survives JSON', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), (value) => {
        const record = errorRecord(value);
        expect(JSON.parse(JSON.stringify(record))).toEqual(record);
      }),
      { numRuns: 300 },
    );
  });
});
