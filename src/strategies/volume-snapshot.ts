import type { SnapshotStrategy } from '../core/contracts/index.ts';

/** Archives the snapshot in the bank, and frees the array once the archive has been read back. */
export function volumeSnapshot(): SnapshotStrategy {
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'volume-snapshot',
    canHandle: ({ volume, capabilities }) => ({
      canHandle: true,
      reason: capabilities.pointInTime
        ? `array ${volume.array} gives a snapshot of one instant to archive`
        : `array ${volume.array} gives the snapshot to archive, which is not point-in-time: writes may go on while it is taken`,
    }),
    plan: () => ({ required: ['array', 'archive'], proof: 'read-back', removed: ['array'] }),
  });
}
