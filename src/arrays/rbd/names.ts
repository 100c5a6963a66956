import type { VolumeRef } from '../../core/contracts/index.ts';
import { isRbdName } from '../../clients/rbd/names.ts';
import { FafnirError } from '../../core/errors.ts';

/** Characters of the name that a snapshot is taken under. */
export const LONGEST_NAME = 100;

const NAME = new RegExp(`^[a-z0-9-]{1,${LONGEST_NAME}}$`);
/** A full stop is in no name that snapshots are taken under. */
const PARTIAL = '.partial';

/** What a snapshot of a set is called on its image until all of the set are there. */
export const partialName = (name: string): string => `${name}${PARTIAL}`;

/**
 * The name that a snapshot was asked for under, by what it is called on its image; of one that others made, what it is
 * called. Undefined where `rbd` could not be asked for it.
 */
export function askedName(raw: string): string | undefined {
  const name = raw.endsWith(PARTIAL) ? raw.slice(0, -PARTIAL.length) : raw;
  if (isTaken(name)) return name;
  return isRbdName(raw) ? raw : undefined;
}

/** Refuses what no snapshot can be called, whoever made it. */
export function checkName(name: string): void {
  if (isRbdName(name)) return;
  throw new FafnirError('INVALID_ID', `not a name of a snapshot: ${JSON.stringify(name)}`, {
    hint: 'Names have 1 to 255 characters, none of them @ or /, and do not begin with a hyphen.',
  });
}

// The partial name must not be taken for an option either.
const isTaken = (name: string): boolean => NAME.test(name) && !name.startsWith('-');

/** Refuses what no snapshot is taken under. */
export function checkNewName(name: string): void {
  if (isTaken(name)) return;
  throw new FafnirError('INVALID_ID', `not a name of a snapshot: ${JSON.stringify(name)}`, {
    hint: `Use 1 to ${LONGEST_NAME} of a-z 0-9 and -, and no hyphen first.`,
  });
}

/** Refuses the volume of another array. */
export function checkArray(array: string, volume: VolumeRef): void {
  if (volume.array === array) return;
  throw new FafnirError('UNKNOWN_ARRAY', `volume ${volume.id} is of array ${volume.array}, not of ${array}`);
}
