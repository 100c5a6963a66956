import { FafnirError } from '../../core/errors.ts';
import { asFileError, errnoOf, type FileErrorCodes } from '../../core/file-errors.ts';

const CODES: FileErrorCodes = {
  EISDIR: 'CORRUPT',
  ELOOP: 'ACCESS_DENIED',
  ENAMETOOLONG: 'INVALID_OPTIONS',
  ENOTDIR: 'ACCESS_DENIED',
  // A file that cannot have a second name, or a socket in its place.
  ENOTSUP: 'UNSUPPORTED',
  EOPNOTSUPP: 'UNSUPPORTED',
  ENXIO: 'CORRUPT',
};

/** Work on a key file; an error of the system becomes one of this package, `doing` being what was tried. */
export async function onKeyFile<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw asFileError(error, `cannot ${doing}`, CODES);
    throw new FafnirError('NOT_FOUND', `cannot ${doing}: it or its folder is not there`, {
      cause: error,
      hint: 'Check the path; createKeyFile makes a key file in a folder that exists.',
    });
  }
}
