import { type ErrorCode, FafnirError } from '../../core/errors.ts';

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  EEXIST: 'ALREADY_EXISTS',
  EACCES: 'ACCESS_DENIED',
  EPERM: 'ACCESS_DENIED',
  EROFS: 'ACCESS_DENIED',
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  // A file larger than the file system takes.
  EFBIG: 'UNSUPPORTED',
  // A link or a file where the array's own file or folder should be.
  ELOOP: 'INVALID_ID',
  ENOTDIR: 'INVALID_ID',
};

/** The system's name for what went wrong, such as `ENOENT`; undefined for an error of another kind. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Runs file work; a system error becomes the package's own, others (an abort's reason) pass as they are. */
export async function fileWork<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    throw FafnirError.from(error, CODES[errno] ?? 'UNAVAILABLE', what);
  }
}
