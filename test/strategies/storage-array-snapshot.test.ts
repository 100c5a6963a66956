import { describe, expect, it } from 'vitest';
import { storageArraySnapshot } from '../../src/strategies/storage-array-snapshot.ts';
import { request } from './requests.ts';

describe('storageArraySnapshot', () => {
  const strategy = storageArraySnapshot();

  it('keeps the snapshot on the array and removes nothing', () => {
    expect(strategy.plan(request(true))).toEqual({
      required: ['array'],
      background: [],
      proof: 'stored',
      keep: 'all',
    });
  });

  it('leaves volumes that are to be archived to others', () => {
    expect(strategy.canHandle(request(true, { archive: true }))).toEqual({
      canHandle: false,
      reason: 'an archive is asked for',
    });
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
    expect(strategy.canHandle(request(false))).toEqual(storageArraySnapshot().canHandle(request(false)));
  });
});
