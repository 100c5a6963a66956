import { FafnirError } from '../../core/errors.ts';

/** What cannot be taken for an option, nor split into pool, image and snapshot. */
const NAME = /^(?!-)[^@/\p{Cc}]{1,255}$/u;

/** True for a name of a pool, an image or a snapshot that means just that to `rbd`. */
export function isRbdName(name: string): boolean {
  return NAME.test(name);
}

/** Refuses what `rbd` would not take for the name of an image, with `INVALID_ID`. */
export function checkImageName(name: string): void {
  check('an image', name);
}

/** Refuses what `rbd` would not take for the name of a snapshot, with `INVALID_ID`. */
export function checkSnapshotName(name: string): void {
  check('a snapshot', name);
}

function check(what: string, name: string): void {
  if (isRbdName(name)) return;
  throw new FafnirError('INVALID_ID', `not a name of ${what}: ${JSON.stringify(name)}`, {
    hint: 'Names have 1 to 255 characters, none of them @ or /, and do not begin with a hyphen.',
  });
}
