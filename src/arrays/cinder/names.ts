import type { VolumeRef } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** Characters of a name of Cinder. */
export const LONGEST_NAME = 255;

const NEW_NAME = new RegExp(`^[a-z0-9-]{1,${LONGEST_NAME}}$`);
// Neither a path nor more than a line.
const NAME = new RegExp(`^[^/\\p{Cc}]{1,${LONGEST_NAME}}$`, 'u');
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const READER = /^by-[a-z0-9-]{1,64}$/;
const GIBIBYTE = 2 ** 30;

/** True for what a snapshot can be asked for by, whoever made it. */
export const isName = (name: string): boolean => NAME.test(name);

/** Refuses what no snapshot can be asked for by. */
export function checkName(name: string): void {
  if (isName(name)) return;
  throw new FafnirError('INVALID_ID', `not a name of a snapshot: ${JSON.stringify(name)}`, {
    hint: `Names have 1 to ${LONGEST_NAME} characters, none of them a slash or a control character.`,
  });
}

/** Refuses what no snapshot is taken under. */
export function checkNewName(name: string): void {
  if (NEW_NAME.test(name)) return;
  throw new FafnirError('INVALID_ID', `not a name of a snapshot: ${JSON.stringify(name)}`, {
    hint: `Use 1 to ${LONGEST_NAME} of a-z 0-9 and -.`,
  });
}

/** Refuses what no volume is made under. */
export function checkVolumeName(name: string): void {
  // Cinder would leave out spaces at the ends, and the volume would not be found again.
  if (isName(name) && name.trim() === name) return;
  throw new FafnirError('INVALID_ID', `not a name of a volume: ${JSON.stringify(name)}`);
}

/** True for an id of Cinder: what else it is asked for may be another address, or a path of its backend. */
export const isCinderId = (id: string): boolean => ID.test(id);

/** True for what {@link readerOf} answers. */
export const isNamedReader = (reader: string): boolean => READER.test(reader);

/** Names what is made for whoever reads by a token, as no id of Cinder does. */
export function readerOf(token: string): string {
  const reader = `by-${token}`;
  if (isNamedReader(reader)) return reader;
  throw new FafnirError('INVALID_ID', `not a token: ${JSON.stringify(token)}`, {
    hint: 'Use 1 to 64 of a-z 0-9 and -.',
  });
}

/** Refuses the volume of another array, and what cannot be an id. */
export function checkVolume(array: string, { array: of, id }: VolumeRef): void {
  if (of !== array) throw new FafnirError('UNKNOWN_ARRAY', `volume ${id} is of array ${of}, not of ${array}`);
  if (!isCinderId(id)) throw new FafnirError('NOT_FOUND', `there is no volume ${JSON.stringify(id)}`);
}

/** Bytes of what Cinder counts in GiB. */
export const bytesOf = (gibibytes: number): number => gibibytes * GIBIBYTE;

/** The GiB of a volume; `UNSUPPORTED` for a size that Cinder has no volumes of. */
export function gibibytesOf(name: string, size: number): number {
  const gibibytes = size / GIBIBYTE;
  if (Number.isSafeInteger(gibibytes) && gibibytes > 0) return gibibytes;
  throw new FafnirError(
    'UNSUPPORTED',
    `volume ${name} cannot have ${size} bytes: Cinder counts in whole GiB`,
    {
      hint: `Use a size that is a multiple of ${GIBIBYTE}.`,
    },
  );
}
