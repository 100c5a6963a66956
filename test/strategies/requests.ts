import type { StrategyRequest } from '../../src/core/contracts/index.ts';

/** What a strategy is asked, with the policy that applies unless somebody chooses another. */
export const request = (
  pointInTime: boolean,
  policy: Partial<StrategyRequest['policy']> = {},
): StrategyRequest => ({
  volume: { array: 'left', id: 'data', size: 4096 },
  capabilities: {
    group: pointInTime,
    pointInTime,
    changeBase: 'none',
    extents: 'scan',
    nameLength: 64,
    concurrency: 4,
  },
  policy: { archive: false, keep: 0, background: false, ...policy },
});
