import { describe, expect, it } from 'vitest';
import type { StrategyRequest } from '../../src/core/contracts/index.ts';
import { storageArraySnapshot } from '../../src/strategies/storage-array-snapshot.ts';

const request = (pointInTime: boolean): StrategyRequest => ({
  volume: { array: 'left', id: 'data', size: 4096 },
  capabilities: {
    group: pointInTime,
    pointInTime,
    changeBase: 'none',
    extents: 'scan',
    nameLength: 64,
    concurrency: 4,
  },
});

describe('storageArraySnapshot', () => {
  const strategy = storageArraySnapshot();

  it('keeps the snapshot on the array and removes nothing', () => {
    expect(strategy.plan(request(true))).toEqual({ required: ['array'], proof: 'stored', removed: [] });
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
