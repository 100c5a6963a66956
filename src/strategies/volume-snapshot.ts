import * as z from 'zod';
import type { SnapshotStrategy } from '../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../core/options.ts';
import { instantOf } from './instant.ts';

/** How {@link volumeSnapshot} archives. */
export interface VolumeSnapshotOptions {
  /**
   * Which archives are compared with a second reading of their snapshot before they count, and with it what the array
   * calls unchanged: as dear as archiving in full. `{ every: 7 }`: one of seven archives of a volume in a row. Default
   * `never`.
   */
  readonly compare?:
    | 'never'
    | 'always'
    | {
        /** Of so many archives in a row one is compared; at least 2. */
        readonly every: number;
      };
}

const schema = strictOptions({
  compare: z.union([z.enum(['never', 'always']), strictOptions({ every: z.int().min(2) })]).default('never'),
});

/**
 * Archives the snapshot in the bank. The checkpoint counts once the archive is proven, or, with the policy `background`,
 * once the snapshot is taken. The array's copies go as `keep` says.
 */
export function volumeSnapshot(options: VolumeSnapshotOptions = {}): SnapshotStrategy {
  const { compare } = parseOptions('volumeSnapshot', schema, options);
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'volume-snapshot',
    canHandle: (request) => ({ canHandle: true, reason: instantOf(request, 'gives a snapshot to archive') }),
    plan: ({ policy: { background, keep } }) => ({
      ...(background
        ? { required: ['array'], background: ['archive'] }
        : { required: ['array', 'archive'], background: [] }),
      proof: compare === 'always' ? 'source-compared' : 'read-back',
      ...(typeof compare === 'object' && { compareEvery: compare.every }),
      keep,
    }),
  });
}
