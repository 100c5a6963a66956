import type { CallOptions } from '../../core/contracts/index.ts';
import type { Cloud } from './cloud.ts';
import type { Item, Kind } from './kind.ts';

const LONGEST_NAME = 255;

// Some resources of Nova have neither metadata nor tags, and a name that stays as it is: it carries the token.

/** A name that carries the token, in the place of one that it had. */
export function nameWith(name: string, token: string): string {
  const own = name.replace(/-[a-f0-9]{32}$/, '');
  return `${own.slice(0, LONGEST_NAME - token.length - 1)}-${token}`;
}

/** Ids of the resources of a kind whose names carry the token. */
export async function findNamed<Listing extends Item & { readonly name: string }>(
  kind: Kind<Listing>,
  token: string,
  cloud: Cloud,
  call: CallOptions,
): Promise<readonly string[]> {
  const listed = await cloud.list(kind, call);
  return [...listed.values()].flatMap(({ id, name }) => (name.endsWith(`-${token}`) ? [id] : []));
}
