import { type ErrorCode, FafnirError } from './errors.ts';

/** Codes by the system's names of errors, such as `ENOENT`. */
export type FileErrorCodes = Readonly<Record<string, ErrorCode>>;

// What means the same wherever files are kept. Whatever is neither here nor known to the caller may pass by
// itself, such as EIO, ESTALE or EMFILE.
const COMMON: FileErrorCodes = {
  EACCES: 'ACCESS_DENIED',
  EPERM: 'ACCESS_DENIED',
  EROFS: 'ACCESS_DENIED',
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  // A file larger than the file system takes.
  EFBIG: 'UNSUPPORTED',
};

/** The system's name of an error, such as `ENOENT`; undefined for an error of another kind. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * An error of the system as one of this package, `what` being what failed; any other (an abort's reason) stays as it
 * is. The caller's own codes come before the common ones; without a code it is `UNAVAILABLE`.
 */
export function asFileError(error: unknown, what: string, codes: FileErrorCodes = {}): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  return FafnirError.from(error, codes[errno] ?? COMMON[errno] ?? 'UNAVAILABLE', what);
}

/** Runs file work; a system error becomes the package's own, as {@link asFileError} says. */
export async function fileWork<Result>(
  what: string,
  work: () => Promise<Result>,
  codes: FileErrorCodes = {},
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw asFileError(error, what, codes);
  }
}
