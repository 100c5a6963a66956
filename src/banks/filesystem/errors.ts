import { asFileError, errnoOf, type FileErrorCodes } from '../../core/file-errors.ts';

/** What the system says when a path, or a folder on the way to it, is not there. */
export const MISSING: readonly string[] = ['ENOENT', 'ENOTDIR'];

// Not ENOENT: only a bank that looked for an object may say that there is none.
const CODES: FileErrorCodes = {
  // Inside the root a file in place of a folder is told apart before; so this one is above it.
  ENOTDIR: 'ACCESS_DENIED',
  EFBIG: 'LIMIT_EXCEEDED',
  EISDIR: 'INVALID_KEY',
  ELOOP: 'INVALID_KEY',
  ENAMETOOLONG: 'INVALID_KEY',
  EXDEV: 'INVALID_KEY',
  ENOTSUP: 'UNSUPPORTED',
  EOPNOTSUPP: 'UNSUPPORTED',
};

/** The outcome of `work`, or undefined where it failed with one of these system codes. */
export async function tolerate<Value>(
  codes: readonly string[],
  work: Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codes.includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** An error of the system as one of this package, `doing` being what was tried; any other stays as it is. */
export function asBankError(error: unknown, doing: string): unknown {
  return asFileError(error, `cannot ${doing}`, CODES);
}
