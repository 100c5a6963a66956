import type { SnapshotStrategy } from '../core/contracts/index.ts';
import { instantOf } from './instant.ts';

/**
 * Takes the snapshot on the array, and where `archive` is asked for archives it in the background: the array's copies then
 * go as `keep` says, each once its archive is proven.
 */
export function archiveFlag(): SnapshotStrategy {
  return Object.freeze<SnapshotStrategy>({
    contract: 1,
    name: 'archive-flag',
    canHandle: (request) => ({
      canHandle: true,
      reason: instantOf(
        request,
        request.policy.archive ? 'gives a snapshot to archive later' : 'keeps a snapshot',
      ),
    }),
    plan: ({ policy }) =>
      policy.archive
        ? { required: ['array'], background: ['archive'], proof: 'read-back', keep: policy.keep }
        : { required: ['array'], background: [], proof: 'stored', keep: 'all' },
  });
}
