import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shorten } from '../../../src/core/graph/shorten.ts';

describe('shortening', () => {
  it('keeps short texts as they are', () => {
    expect(shorten('web-01 (Frankfurt) #2', 32)).toBe('web-01 (Frankfurt) #2');
  });

  it('leaves out the middle of long ones, for their ends tell them apart', () => {
    expect(shorten(`tenant-${'x'.repeat(1_000_000)}-disk-1`, 20)).toBe('tenant-xxxxxx\u2026disk-1');
  });

  it('counts wide letters twice', () => {
    expect(shorten('\u5b57'.repeat(10), 20)).toBe('\u5b57'.repeat(10));
    expect(shorten('\u5b57'.repeat(11), 20)).toBe(`${'\u5b57'.repeat(6)}\u2026${'\u5b57'.repeat(3)}`);
  });

  it.each([
    ['a\nb\t c ', 'a b c'],
    ['\u0000a\u001b[31m', '\ufffda\ufffd[31m'],
    ['\u202Egnp.exe', '\ufffdgnp.exe'],
    ['\ud800a', '\ufffda'],
    ['a\uffff', 'a\ufffd'],
    ['\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645', '\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645'],
  ])('cleans %j', (dirty, clean) => {
    expect(shorten(dirty, 32)).toBe(clean);
  });

  it('never keeps what is too wide or cannot be printed', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 500 }),
        fc.integer({ min: 8, max: 40 }),
        (long, width) => {
          const short = shorten(long, width);
          expect(Array.from(short).length).toBeLessThanOrEqual(width);
          expect(short.replace(/[\u200c\u200d]/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]|[\ufffe\uffff]/u);
          expect(short).toBe(short.trim());
        },
      ),
    );
  });
});
