import { describe, expect, it } from 'vitest';
import { archiveFlag } from '../../src/strategies/archive-flag.ts';
import { request } from './requests.ts';

describe('archiveFlag', () => {
  const strategy = archiveFlag();

  it('keeps the snapshot on the array unless an archive is asked for', () => {
    expect(strategy.plan(request(true))).toEqual({
      required: ['array'],
      background: [],
      proof: 'stored',
      keep: 'all',
    });
  });

  it.each([0, 3, 'all'] as const)('archives in the background and keeps %s', (keep) => {
    expect(strategy.plan(request(true, { archive: true, keep }))).toEqual({
      required: ['array'],
      background: ['archive'],
      proof: 'read-back',
      keep,
    });
  });

  it('takes every volume, and says what the snapshot is worth', () => {
    expect(strategy.canHandle(request(true)).reason).toBe('array left keeps a snapshot of one instant');
    expect(strategy.canHandle(request(false, { archive: true }))).toEqual({
      canHandle: true,
      reason:
        'array left gives a snapshot to archive later, which is not point-in-time: writes may go on while it is taken',
    });
  });
});
