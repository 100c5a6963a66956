import { FafnirError } from '../../core/errors.ts';
import type { OpenStackTempAuth } from './credentials.ts';
import type { Token } from './session.ts';
import { usefulTime } from './token-time.ts';
import type { WireAnswer, WireRequest } from './wire.ts';

/** Asks Swift's own authentication, version 1, for a token. */
export function tempAuthRequest(url: URL, { user, key }: OpenStackTempAuth): WireRequest {
  const headers = { 'x-auth-user': user, 'x-auth-key': key };
  return { what: 'authenticate with Swift', method: 'GET', url, headers, repeatable: true };
}

/** The token in its answer, with a catalog that has the account's address alone; `asked` is when it was asked. */
export function tempAuthToken(
  what: string,
  { headers }: WireAnswer,
  { user }: OpenStackTempAuth,
  asked: number,
): Token {
  const { 'x-auth-token': id, 'x-storage-url': url } = headers;
  if (id === undefined || url === undefined) {
    throw new FafnirError('WRONG_ANSWER', `${what}: the answer has no token or no address`, {
      hint: 'Check that the option authUrl is the address of an authentication of version 1.',
    });
  }
  // Not all say how long it lasts: then it serves until it is refused.
  const seconds = /^\d+$/.exec(headers['x-auth-token-expires'] ?? '')?.[0];
  const lifetime = seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1_000;
  return {
    id,
    scope: { user: { id: user, name: user }, project: undefined, roles: [] },
    catalog: [{ type: 'object-store', endpoints: [{ interface: 'public', url }] }],
    renewAt: asked + usefulTime(lifetime),
  };
}
