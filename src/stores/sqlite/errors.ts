import { type ErrorCode, FafnirError } from '../../core/errors.ts';
import { asFileError } from '../../core/file-errors.ts';

const BUSY = 5;

// By SQLite's primary result codes. The rest says that a value or statement was wrong.
const RESULT_CODES: ReadonlyMap<number, ErrorCode> = new Map([
  [3, 'ACCESS_DENIED'], // PERM
  [BUSY, 'UNAVAILABLE'],
  [6, 'UNAVAILABLE'], // LOCKED
  [7, 'UNAVAILABLE'], // NOMEM
  [8, 'ACCESS_DENIED'], // READONLY
  [10, 'UNAVAILABLE'], // IOERR
  [11, 'CORRUPT'], // CORRUPT
  [13, 'NO_SPACE'], // FULL
  [14, 'UNAVAILABLE'], // CANTOPEN
  [15, 'UNAVAILABLE'], // PROTOCOL
  [18, 'LIMIT_EXCEEDED'], // TOOBIG
  [23, 'ACCESS_DENIED'], // AUTH
  [26, 'CORRUPT'], // NOTADB
]);

/** True where another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  return resultCode(error) === BUSY;
}

/** An error of SQLite, of the file system or of Node as one of this package. */
export function storeError(path: string, error: unknown): FafnirError {
  const where = `job store ${path}`;
  const known = asFileError(error, where);
  if (FafnirError.is(known)) return known;
  const code = RESULT_CODES.get(resultCode(error)) ?? 'INVALID_OPTIONS';
  if (code !== 'CORRUPT') return FafnirError.from(error, code, where);
  const message = `${where}: ${error instanceof Error ? error.message : String(error)}`;
  const hint = 'Give the path of a job store, or restore the file from a copy.';
  return new FafnirError(code, message, { cause: error, hint });
}

/** SQLite's extended result codes have the primary one in the low byte; 0 for what is no error of SQLite. */
function resultCode(error: unknown): number {
  if (!(error instanceof Error) || !('errcode' in error)) return 0;
  return Number(error.errcode) & 0xff;
}
