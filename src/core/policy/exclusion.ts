import type { CheckpointId, PlanId, ResourceLease, VolumeRef } from '../contracts/index.ts';
import { joinParts } from '../identity.ts';

/**
 * What a job can do to a resource for which another job must not disturb it. `protect`: take a volume's snapshot and
 * copy it. `restore`: write a volume. `read`: use a checkpoint's copies. `remove`: remove them. `write`: store archives in a
 * bank. `collect`: remove from it what nobody needs. `archive`: archive a plan's snapshots later. `retain`: choose which of a
 * plan's checkpoints go.
 */
export type LeaseKind =
  | 'protect'
  | 'restore'
  | 'read'
  | 'remove'
  | 'write'
  | 'collect'
  | 'archive'
  | 'retain';

// The rule for each pair; it is enough that one of the two excludes the other.
const EXCLUDES: Readonly<Record<LeaseKind, readonly LeaseKind[]>> = {
  // Two at once would each take the other's snapshot for the newest, and remove its change base.
  protect: ['protect'],
  // What is half written is worth nothing, and nobody else may write it.
  restore: ['restore', 'protect'],
  // Any number may read what stays.
  read: [],
  remove: ['read', 'remove'],
  write: [],
  // An archive that is being written counts on what nothing in the bank tells of yet.
  collect: ['write', 'collect'],
  // One after the other, so that each is compared with the one before.
  archive: ['archive'],
  // Each would count on what the other removes.
  retain: ['retain'],
};

/** A lease on a volume of a provider. */
export const volumeLease = (
  provider: string,
  { array, id }: Pick<VolumeRef, 'array' | 'id'>,
  kind: 'protect' | 'restore',
): ResourceLease => ({ resource: joinParts('volume', provider, array, id), kind, excludes: EXCLUDES[kind] });

/** A lease on a checkpoint. */
export const checkpointLease = (id: CheckpointId, kind: 'read' | 'remove'): ResourceLease => ({
  resource: joinParts('checkpoint', id),
  kind,
  excludes: EXCLUDES[kind],
});

/** A lease on the tenant's part of a bank. */
export const bankLease = (bank: string, kind: 'write' | 'collect'): ResourceLease => ({
  resource: joinParts('bank', bank),
  kind,
  excludes: EXCLUDES[kind],
});

/** A lease on what a plan has made. */
export const planLease = (plan: PlanId, kind: 'archive' | 'retain'): ResourceLease => ({
  resource: joinParts('plan', plan),
  kind,
  excludes: EXCLUDES[kind],
});
