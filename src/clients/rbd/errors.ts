import { type ErrorCode, FafnirError } from '../../core/errors.ts';

/** How a run of `rbd` ended that did not end well. */
export interface RbdEnding {
  /** What was tried, for messages. */
  readonly what: string;
  /** The exit code, which is an errno; null where a signal ended the program. */
  readonly code: number | null;
  /** The signal. */
  readonly killedBy: string | null;
  /** The beginning of what it complained of. */
  readonly complaint: string;
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  1: 'ACCESS_DENIED',
  2: 'NOT_FOUND',
  13: 'ACCESS_DENIED',
  16: 'BUSY',
  17: 'ALREADY_EXISTS',
  22: 'UNSUPPORTED',
  27: 'UNSUPPORTED',
  28: 'NO_SPACE',
  30: 'ACCESS_DENIED',
  39: 'BUSY',
  95: 'UNSUPPORTED',
  122: 'NO_SPACE',
};
const LONGEST = 400;
const NO_PROGRESS = /^(\S+ )+\S*: \d+% complete/;
const LOG_LINE = /^\d{4}-\d\d-\d\dT/;

/** The one place where an ending of `rbd` becomes an error of this package. */
export function rbdError({ what, code, killedBy, complaint }: RbdEnding): FafnirError {
  const said = essence(complaint);
  if (code === null) return new FafnirError('UNAVAILABLE', `${what}: rbd was ended by ${killedBy}: ${said}`);
  const message = `${what}: ${said === '' ? `rbd ended with ${code}` : said}`;
  if (/unable to open config file|unable to find a keyring|no keyring found/.test(complaint)) {
    return new FafnirError('INVALID_OPTIONS', message, { hint: 'Check the options conf and keyring.' });
  }
  if (/error opening (default )?pool/.test(complaint)) {
    return new FafnirError('INVALID_OPTIONS', message, { hint: 'Check the option pool.' });
  }
  // It has snapshots, and waiting does not change that.
  if (code === 39) return new FafnirError('BUSY', message, { retryable: false });
  return new FafnirError(CODES[code] ?? 'UNAVAILABLE', message);
}

/** What the program itself says, without progress, and without the log of its library unless there is nothing else. */
function essence(complaint: string): string {
  const lines = complaint
    .split(/[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !NO_PROGRESS.test(line));
  const own = lines.filter((line) => !LOG_LINE.test(line));
  return (own.length > 0 ? own : lines).join('; ').slice(0, LONGEST);
}
