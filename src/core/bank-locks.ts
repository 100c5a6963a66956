import { FafnirError } from './errors.ts';

/** Refuses a lock. Every bank without locks calls it in `put`, before any effect. */
export function assertNoLock(bank: string, retainUntil: number | undefined): void {
  if (retainUntil === undefined) return;
  throw new FafnirError('UNSUPPORTED', `the bank ${bank} has no locks`, {
    hint: 'Use a bank whose capabilities include locks, or put without retainUntil.',
  });
}

/** What to throw where an object is locked: until an instant in milliseconds since 1970 UTC, where that is known. */
export function lockedObject(key: string, where: string, until: number | undefined): FafnirError {
  const when = until === undefined ? '' : ` until ${new Date(until).toISOString()}`;
  return new FafnirError('LOCKED', `${key} in ${where} is locked${when}`);
}
