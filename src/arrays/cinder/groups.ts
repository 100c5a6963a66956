import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cinder, isBadRequest } from './cinder.ts';
import type { CinderGroup, CinderVolume } from './records.ts';

/** What groups are told by. */
export interface GroupSettings {
  /** Where they are. */
  readonly cinder: Cinder;
  /** The names of the group types whose group snapshots hold one instant, as the site says. */
  readonly groupTypes: readonly string[];
}

/** The group of such a type whose members are just these volumes; undefined where there is none. */
export async function findGroup(
  { cinder, groupTypes }: GroupSettings,
  wanted: readonly CinderVolume[],
  call: CallOptions,
): Promise<string | undefined> {
  const [groupId, ...others] = new Set(wanted.map((volume) => volume.groupId));
  if (groupId === undefined || others.length > 0) return undefined;
  const group = await unlessGone(cinder.group(groupId, call));
  if (group === undefined || !hasJust(group, wanted)) return undefined;
  const type = await unlessGone(cinder.groupTypeName(group.typeId, call));
  return type !== undefined && groupTypes.includes(type) ? groupId : undefined;
}

const hasJust = ({ status, volumeIds }: CinderGroup, wanted: readonly CinderVolume[]): boolean =>
  status === 'available' &&
  volumeIds.length === wanted.length &&
  wanted.every(({ id }) => volumeIds.includes(id));

async function unlessGone<Value>(asked: Promise<Value>): Promise<Value | undefined> {
  try {
    return await asked;
  } catch (error) {
    // Cinder answers 400 where a group was a consistency group before there were groups.
    if (FafnirError.is(error, 'NOT_FOUND') || isBadRequest(error)) return undefined;
    throw error;
  }
}
