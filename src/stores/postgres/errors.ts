import { type ErrorCode, FafnirError } from '../../core/errors.ts';

// By PostgreSQL's codes of errors, the longest beginning that is here. The rest says that a value was wrong.
const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ['08', 'UNAVAILABLE'], // connection
  ['25006', 'UNAVAILABLE'], // read-only: a standby, until it is promoted
  ['28', 'ACCESS_DENIED'],
  ['3D', 'NOT_FOUND'], // no such database
  ['40', 'UNAVAILABLE'], // serialization failure, deadlock
  ['42501', 'ACCESS_DENIED'],
  ['42P01', 'CORRUPT'], // a table of the store is gone
  ['53', 'UNAVAILABLE'], // too many connections, out of memory
  ['53100', 'NO_SPACE'],
  ['54', 'LIMIT_EXCEEDED'],
  ['55', 'UNAVAILABLE'], // a lock was not given in time
  ['57', 'UNAVAILABLE'], // shut down, or cancelled
  ['58', 'UNAVAILABLE'], // the system below it
  ['XX', 'UNAVAILABLE'],
  ['XX001', 'CORRUPT'],
  ['XX002', 'CORRUPT'],
]);

/** An error's code of PostgreSQL, or undefined for one that did not come from the server. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * An error of PostgreSQL, of its client or of the network as one of this package. A lost connection does not tell
 * whether what was asked has happened.
 */
export function storeError(where: string, error: unknown): FafnirError {
  const state = sqlState(error);
  if (state === undefined) return FafnirError.from(error, 'UNAVAILABLE', where);
  const code = CODES.get(state) ?? CODES.get(state.slice(0, 2)) ?? 'INVALID_OPTIONS';
  return FafnirError.from(error, code, where);
}
