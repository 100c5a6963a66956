import { asFileError, type FileErrorCodes } from '../../core/file-errors.ts';

export { errnoOf } from '../../core/file-errors.ts';

const CODES: FileErrorCodes = {
  ENOENT: 'NOT_FOUND',
  EEXIST: 'ALREADY_EXISTS',
  // A file larger than the file system takes.
  EFBIG: 'UNSUPPORTED',
  // A link or a file where the array's own file or folder should be.
  ELOOP: 'INVALID_ID',
  ENOTDIR: 'INVALID_ID',
};

/** Runs file work; a system error becomes the package's own, others (an abort's reason) pass as they are. */
export async function fileWork<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw asFileError(error, what, CODES);
  }
}
