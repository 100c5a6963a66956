import { FafnirError } from '../../core/errors.ts';
import { asFileError, errnoOf, type FileErrorCodes } from '../../core/file-errors.ts';

const CODES: FileErrorCodes = { ENOENT: 'NOT_FOUND', ENOTDIR: 'ACCESS_DENIED' };

// What stands where a regular file belongs: a link, a directory, a socket.
const NOT_REGULAR: readonly string[] = ['ELOOP', 'EISDIR', 'ENXIO'];

/** Something at `path` that is not what belongs there. */
export function corrupt(path: string, problem: string, cause?: unknown): FafnirError {
  return new FafnirError('CORRUPT', `${path}: ${problem}`, {
    hint: 'Repair or remove what the message names.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Runs file system calls on `path`, so that they fail with the package's codes only. */
export async function onPath<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (NOT_REGULAR.includes(errnoOf(error) ?? '')) throw corrupt(path, 'not a regular file', error);
    throw FafnirError.from(asFileError(error, path, CODES), 'UNAVAILABLE', path);
  }
}
