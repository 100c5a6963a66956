import type { SnapshotStrategy } from '../core/contracts/index.ts';
import { instantOf } from './instant.ts';

/** Leaves the snapshot on the array: the fastest to take and to restore, and lost with the array. */
export function storageArraySnapshot(): SnapshotStrategy {
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'storage-array-snapshot',
    canHandle: ({ policy, ...request }) =>
      policy.archive
        ? { canHandle: false, reason: 'an archive is asked for' }
        : { canHandle: true, reason: instantOf(request, 'keeps a snapshot') },
    plan: () => ({ required: ['array'], background: [], proof: 'stored', keep: 'all' }),
  });
}
