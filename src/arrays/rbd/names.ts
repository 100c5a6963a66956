import type { VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** Characters of a snapshot's name. */
export const LONGEST_NAME = 100;

const NAME = new RegExp(`^[a-z0-9-]{1,${LONGEST_NAME}}$`);
/** A full stop is in no name that the array is asked for. */
const PARTIAL = '.partial';

/** What a snapshot of a set is called on its image until all of the set are there. */
export const partialName = (name: string): string => `${name}${PARTIAL}`;

/** The name that a snapshot was asked for under, by what it is called on its image; undefined where nobody asked for it. */
export function askedName(raw: string): string | undefined {
  const name = raw.endsWith(PARTIAL) ? raw.slice(0, -PARTIAL.length) : raw;
  return NAME.test(name) ? name : undefined;
}

/** Refuses what is no name of a snapshot. */
export function checkName(name: string): void {
  // The partial name must not be taken for an option either.
  if (NAME.test(name) && !name.startsWith('-')) return;
  throw new FafnirError('INVALID_ID', `not a name of a snapshot: ${JSON.stringify(name)}`, {
    hint: `Use 1 to ${LONGEST_NAME} of a-z 0-9 and -, and no hyphen first.`,
  });
}

/** Refuses the volume of another array. */
export function checkArray(array: string, volume: VolumeRef): void {
  if (volume.array === array) return;
  throw new FafnirError('UNKNOWN_ARRAY', `volume ${volume.id} is of array ${volume.array}, not of ${array}`);
}
