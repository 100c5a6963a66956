import * as z from 'zod';
import type { SnapshotStrategy } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { instantOf } from './instant.ts';

/** How {@link volumeSnapshot} archives. */
export interface VolumeSnapshotOptions {
  /**
   * Every archive is compared with a second reading of its snapshot before it counts, and so is what the array calls
   * unchanged: as dear as archiving in full. Default false.
   */
  readonly compare?: boolean;
}

const schema = strictOptions({ compare: z.boolean().default(false) });

/**
 * Archives the snapshot in the bank. The checkpoint counts once the archive is proven, or, with the policy `background`,
 * once the snapshot is taken. The array's copies go as `keep` says.
 */
export function volumeSnapshot(options: VolumeSnapshotOptions = {}): SnapshotStrategy {
  const { compare } = parseOptions('volumeSnapshot', schema, options);
  const proof = compare ? 'source-compared' : 'read-back';
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'volume-snapshot',
    canHandle: (request) => ({ canHandle: true, reason: instantOf(request, 'gives a snapshot to archive') }),
    plan: ({ policy: { background, keep } }) =>
      background
        ? { required: ['array'], background: ['archive'], proof, keep }
        : { required: ['array', 'archive'], background: [], proof, keep },
  });
}
