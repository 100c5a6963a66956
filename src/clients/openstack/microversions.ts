import * as z from 'zod';
import { FafnirError } from '../../core/errors.ts';
import { parseAnswer } from './answers.ts';

/** The microversions that a caller can work with. */
export interface OpenStackMicroversions {
  /** Such as `3.27`: without it, what the caller needs is missing. */
  readonly least: string;
  /** The newest whose answers the caller knows. */
  readonly most: string;
}

const version = z.looseObject({
  status: z.string().optional(),
  version: z.string().optional(),
  max_version: z.string().optional(),
  min_version: z.string().optional(),
});
const DOCUMENT = z.union([
  z.looseObject({ version }).transform((document) => [document.version]),
  z.looseObject({ versions: z.array(version) }).transform(({ versions }) => versions),
]);

// Some services have a name of their own in the header.
const NAMES: Readonly<Record<string, string>> = { 'block-storage': 'volume' };

/** The header that asks a service for a microversion. */
export function microversionHeader(type: string, microversion: string): Readonly<Record<string, string>> {
  return { 'openstack-api-version': `${NAMES[type] ?? type} ${microversion}` };
}

/** The newest microversion that both know, by what a service tells of its versions. */
export function negotiate(type: string, document: unknown, { least, most }: OpenStackMicroversions): string {
  const offered = parseAnswer(`versions of ${type}`, DOCUMENT, document)
    .map((one) => ({ from: one.min_version ?? '', to: one.version ?? one.max_version ?? '' }))
    .filter(({ from, to }) => isMicroversion(from) && isMicroversion(to))
    .sort((left, right) => compare(right.to, left.to))[0];
  if (offered === undefined) throw new FafnirError('UNSUPPORTED', `${type} has no microversions`);
  const chosen = compare(most, offered.to) < 0 ? most : offered.to;
  if (compare(chosen, least) >= 0 && compare(chosen, offered.from) >= 0) return chosen;
  const message = `${type} has the microversions ${offered.from} to ${offered.to}, and ${least} to ${most} are needed`;
  throw new FafnirError('UNSUPPORTED', message, { hint: 'Use a cloud of another release.' });
}

/** True for text such as `3.27`. */
export function isMicroversion(text: string): boolean {
  return /^\d{1,4}\.\d{1,4}$/.test(text);
}

/** Negative where the left one is older. They are no decimals: 2.9 is older than 2.10. */
export function compare(left: string, right: string): number {
  const [major = 0, minor = 0] = left.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = right.split('.').map(Number);
  return major - otherMajor || minor - otherMinor;
}
