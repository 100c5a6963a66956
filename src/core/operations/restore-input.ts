import type { CheckpointId, ResourceKey } from '../contracts/index.ts';
import type { Leftover } from '../jobs/leftovers.ts';
import type { WhenBusy } from '../jobs/operation.ts';
import type { ConflictPolicy } from './restore-conflicts.ts';
import type { RestoreMap } from './restore-plan.ts';
import type { RestoreWay } from './restore-ways.ts';

/** What a restore job is asked to do. */
export type RestoreInput = {
  /** What to restore. */
  readonly checkpoint: CheckpointId;
  /** The provider to restore to. */
  readonly to: string;
  /** What to restore of it, with all that it depends on; null for everything. */
  readonly resources: readonly ResourceKey[] | null;
  /** The array or bank whose copies serve; null for whichever serve best. */
  readonly location: string | null;
  /** How originals become what they are there. */
  readonly map: RestoreMap;
  /** Whether resources are created, or volumes that exist are overwritten and nothing else is touched. */
  readonly into: 'new' | 'existing';
  /** What becomes of what has the type and name of something that is there; null where nobody looks. */
  readonly conflict: ConflictPolicy | null;
  /** Whether volumes are protected before they are overwritten. */
  readonly safety: 'checkpoint' | 'none';
  /** What becomes of what was made or overwritten, where the restore fails. */
  readonly onFailure: 'undo' | 'keep';
  /** What to do while another job stands in the way. */
  readonly whenBusy: WhenBusy;
};

/** What a restore job has made. */
export type RestoreResult = {
  /** The checkpoint it was made from. */
  readonly checkpoint: CheckpointId;
  /** Resources created. */
  readonly resources: number;
  /** Volumes whose bytes were restored, each read back and compared. */
  readonly volumes: number;
  /** How many of them got their bytes which way; `jobs.restored` tells it of each. */
  readonly by: Readonly<Record<RestoreWay, number>>;
  /** Resources of which a probe has seen that they serve; the others have none. */
  readonly probed: number;
  /** Bytes of those volumes. */
  readonly bytes: number;
  /** The checkpoint of what was overwritten, as it was before; where there is one. */
  readonly safety?: CheckpointId;
  /** What could not be cleared up, where there is anything. */
  readonly leftovers?: readonly Leftover[];
};
