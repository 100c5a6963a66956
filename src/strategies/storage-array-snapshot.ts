import type { SnapshotStrategy } from '../core/contracts/index.ts';

/** Leaves the snapshot on the array: the fastest to take and to restore, and lost with the array. */
export function storageArraySnapshot(): SnapshotStrategy {
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'storage-array-snapshot',
    canHandle: ({ volume, capabilities }) => ({
      canHandle: true,
      reason: capabilities.pointInTime
        ? `array ${volume.array} keeps a snapshot of one instant`
        : `array ${volume.array} keeps the snapshot, which is not point-in-time: writes may go on while it is taken`,
    }),
    plan: () => ({ required: ['array'], proof: 'stored', removed: [] }),
  });
}
