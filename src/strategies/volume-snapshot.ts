import * as z from 'zod';
import type { SnapshotStrategy } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';

/** How {@link volumeSnapshot} archives. */
export interface VolumeSnapshotOptions {
  /**
   * Every archive is compared with a second reading of its snapshot before it counts, and so is what the array calls
   * unchanged: as dear as archiving in full. Default false.
   */
  readonly compare?: boolean;
}

const schema = strictOptions({ compare: z.boolean().default(false) });

/** Archives the snapshot in the bank, and frees the array once the archive has been proven. */
export function volumeSnapshot(options: VolumeSnapshotOptions = {}): SnapshotStrategy {
  const { compare } = parseOptions('volumeSnapshot', schema, options);
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'volume-snapshot',
    canHandle: ({ volume, capabilities }) => ({
      canHandle: true,
      reason: capabilities.pointInTime
        ? `array ${volume.array} gives a snapshot of one instant to archive`
        : `array ${volume.array} gives the snapshot to archive, which is not point-in-time: writes may go on while it is taken`,
    }),
    plan: () => ({
      required: ['array', 'archive'],
      proof: compare ? 'source-compared' : 'read-back',
      removed: ['array'],
    }),
  });
}
