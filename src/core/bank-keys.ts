import { FafnirError } from './errors.ts';

const SEGMENT = /^[A-Za-z0-9._=-]{1,255}$/;
const LONGEST = 512;

/** True for a key that the Bank contract allows. */
export function isBankKey(key: unknown): boolean {
  return (
    typeof key === 'string' &&
    key.length <= LONGEST &&
    key.split('/').every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..')
  );
}

/** Rejects a key that the Bank contract does not allow. Every bank calls it first in every method. */
export function assertBankKey(key: string): void {
  if (isBankKey(key)) return;
  throw new FafnirError('INVALID_KEY', `not a bank key: ${JSON.stringify(String(key).slice(0, LONGEST))}`);
}

/** Rejects a prefix that no allowed key can begin with. */
export function assertBankPrefix(prefix: string): void {
  const segments = prefix.split('/');
  const last = segments.pop() ?? '';
  if (last !== '' && !SEGMENT.test(last)) {
    throw new FafnirError('INVALID_KEY', `not a bank prefix: ${JSON.stringify(prefix.slice(0, LONGEST))}`);
  }
  if (segments.length > 0) assertBankKey(segments.join('/'));
}
