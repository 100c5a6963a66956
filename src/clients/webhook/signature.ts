import { createHmac, timingSafeEqual } from 'node:crypto';
import { FafnirError } from '../../core/errors.ts';

const PREFIX = 'whsec_';
const SCHEME = 'v1,';
const KEY_BYTES = { least: 24, most: 64 };
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** What is signed of a message. */
export interface Signed {
  /** The message's id. */
  readonly id: string;
  /** When it was sent, in seconds since 1970 UTC, as its header says. */
  readonly timestamp: string;
  /** The body as it was sent. */
  readonly body: string | Uint8Array;
}

/** The signature of a message by a secret; `INVALID_OPTIONS` for what is no secret, which is not told. */
export const signatureOf = (secret: string, signed: Signed): string =>
  SCHEME + digestOf(secret, signed).toString('base64');

/** Whether one of the signatures of a header, which spaces part, is one by one of the secrets. */
export function isSignedBy(secrets: readonly string[], header: string, signed: Signed): boolean {
  const expected = secrets.map((secret) => digestOf(secret, signed));
  return header
    .split(' ')
    .filter((one) => one.startsWith(SCHEME))
    .map((one) => Buffer.from(one.slice(SCHEME.length), 'base64'))
    .some((given) => expected.some((one) => one.length === given.length && timingSafeEqual(one, given)));
}

function digestOf(secret: string, { id, timestamp, body }: Signed): Buffer {
  return createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest();
}

function keyOf(secret: string): Buffer {
  const text = typeof secret === 'string' && secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : '';
  const key = Buffer.from(BASE64.test(text) ? text : '', 'base64');
  if (key.length >= KEY_BYTES.least && key.length <= KEY_BYTES.most) return key;
  throw new FafnirError('INVALID_OPTIONS', 'not the secret of a webhook', {
    hint: `Use ${PREFIX} and the base64 of ${KEY_BYTES.least} to ${KEY_BYTES.most} bytes of chance.`,
  });
}
