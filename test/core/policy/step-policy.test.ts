import { describe, expect, it } from 'vitest';
import { pauseAfter, stepPolicy } from '../../../src/core/policy/step-policy.ts';

describe('the policy of a step', () => {
  it('follows from the first part of its name', () => {
    expect(stepPolicy('archive/Local::Volume/a', {}).timeoutMilliseconds).toBe(0);
    expect(stepPolicy('snapshot/files/Local::Volume/a', {}).timeoutMilliseconds).toBeGreaterThan(0);
    expect(stepPolicy('quiesce/Local::Server/web', {}).attempts).toBe(1);
  });

  it('can be changed in part', () => {
    const policies = { snapshot: { attempts: 7 } };
    expect(stepPolicy('snapshot/files/x', policies)).toEqual({
      ...stepPolicy('snapshot/files/x', {}),
      attempts: 7,
    });
    expect(stepPolicy('capture/x', policies)).toEqual(stepPolicy('capture/x', {}));
  });
});

describe('the pause after an attempt', () => {
  const policy = {
    attempts: 9,
    firstPauseMilliseconds: 100,
    longestPauseMilliseconds: 1_000,
    timeoutMilliseconds: 0,
  };

  it('doubles up to the longest, and is up to half by chance', () => {
    expect([1, 2, 3, 4, 5, 9].map((attempt) => pauseAfter(attempt, policy, 1, undefined))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
    expect([1, 2, 9].map((attempt) => pauseAfter(attempt, policy, 0, undefined))).toEqual([50, 100, 500]);
  });

  it('is no shorter than the other side asks for', () => {
    expect(pauseAfter(1, policy, 1, 5_000)).toBe(5_000);
    expect(pauseAfter(1, policy, 1, 5)).toBe(100);
  });
});
