import { describe, expect, it } from 'vitest';
import { volumeSnapshot } from '../../src/strategies/volume-snapshot.ts';
import { request } from './requests.ts';

describe('volumeSnapshot', () => {
  const strategy = volumeSnapshot();

  it('archives the snapshot and removes it from the array once that has been read back', () => {
    expect(strategy.plan(request(true))).toEqual({
      required: ['array', 'archive'],
      background: [],
      proof: 'read-back',
      keep: 0,
    });
  });

  it('archives in the background, and keeps as many array copies, as the policy says', () => {
    expect(strategy.plan(request(true, { background: true, keep: 2 }))).toEqual({
      required: ['array'],
      background: ['archive'],
      proof: 'read-back',
      keep: 2,
    });
  });

  it('compares the archive with its source where that is asked for', () => {
    expect(volumeSnapshot({ compare: 'always' }).plan(request(true)).proof).toBe('source-compared');
    expect(volumeSnapshot({ compare: { every: 7 } }).plan(request(true))).toMatchObject({
      proof: 'read-back',
      compareEvery: 7,
    });
  });

  it.each([1, true, 'sometimes', { every: 1 }, { every: 2.5 }])('refuses to compare %j', (compare) => {
    expect(() => volumeSnapshot({ compare: compare as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS' }),
    );
  });

  it('takes every volume and names its array', () => {
    const { canHandle, reason } = strategy.canHandle(request(true));
    expect(canHandle).toBe(true);
    expect(reason).toContain('array left');
    expect(reason).not.toContain('point-in-time');
  });

  it('says when the array is not point-in-time', () => {
    expect(strategy.canHandle(request(false))).toMatchObject({
      canHandle: true,
      reason: expect.stringContaining('not point-in-time'),
    });
  });

  it('gives equal requests equal answers', () => {
    expect(strategy.plan(request(true))).toEqual(strategy.plan(request(true)));
    expect(strategy.canHandle(request(false))).toEqual(volumeSnapshot().canHandle(request(false)));
  });
});
