import { describe, expect, it } from 'vitest';
import type { CheckpointId, ResourceLease } from '../../../src/index.ts';
import { checkpointLease, volumeLease } from '../../../src/core/policy/exclusion.ts';

const excludes = (a: ResourceLease, b: ResourceLease): boolean =>
  a.resource === b.resource && (a.excludes.includes(b.kind) || b.excludes.includes(a.kind));

describe('work on a volume', () => {
  const volume = { array: 'files', id: 'a' };
  it.each([
    ['protect', 'protect', true],
    ['protect', 'restore', true],
    ['restore', 'restore', true],
  ] as const)('%s beside %s is excluded: %s', (one, other, expected) => {
    expect(excludes(volumeLease('gold', volume, one), volumeLease('gold', volume, other))).toBe(expected);
  });

  it('of another volume, array or provider is not excluded', () => {
    const lease = volumeLease('gold', volume, 'protect');
    expect(excludes(lease, volumeLease('gold', { ...volume, id: 'b' }, 'protect'))).toBe(false);
    expect(excludes(lease, volumeLease('gold', { ...volume, array: 'other' }, 'protect'))).toBe(false);
    expect(excludes(lease, volumeLease('silver', volume, 'protect'))).toBe(false);
    const slash = volumeLease('gold', { array: 'files/a', id: 'b' }, 'protect');
    expect(excludes(slash, volumeLease('gold', { array: 'files', id: 'a/b' }, 'protect'))).toBe(false);
  });
});

describe('work on a checkpoint', () => {
  const id = '1' as CheckpointId;
  it.each([
    ['read', 'read', false],
    ['read', 'remove', true],
    ['remove', 'remove', true],
  ] as const)('%s beside %s is excluded: %s', (one, other, expected) => {
    expect(excludes(checkpointLease(id, one), checkpointLease(id, other))).toBe(expected);
  });
});
