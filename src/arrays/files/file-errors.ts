import { fileWork as commonFileWork, type FileErrorCodes } from '../../core/file-errors.ts';

export { errnoOf } from '../../core/file-errors.ts';

const CODES: FileErrorCodes = {
  ENOENT: 'NOT_FOUND',
  EEXIST: 'ALREADY_EXISTS',
  // A link or a file where the array's own file or folder should be.
  ELOOP: 'INVALID_ID',
  ENOTDIR: 'INVALID_ID',
};

/** Runs file work; a system error becomes the package's own, others (an abort's reason) pass as they are. */
export const fileWork = <Result>(what: string, work: () => Promise<Result>): Promise<Result> =>
  commonFileWork(what, work, CODES);
