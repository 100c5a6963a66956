import type { CreateRequest, Protectable, Surroundings } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import type { RestoreMap } from './restore-plan.ts';

/** What the map makes of addresses. */
export const addressesOf = ({ addresses }: RestoreMap): Pick<Surroundings, 'address'> => ({
  address: (original) => mapped(addresses, original),
});

/** What the map makes of the names that a plugin asks for, where it asks for any. */
export function namesFor(
  { names = {} }: RestoreMap,
  { type, maps }: Pick<Protectable, 'type' | 'maps'>,
): Pick<CreateRequest, 'names'> {
  if (maps === undefined) return {};
  const of = (kind: string, original: string): string => {
    if (maps.includes(kind)) return mapped(own(names, kind), original);
    throw new FafnirError(
      'WRONG_ANSWER',
      `the plugin for ${type} asks for a name of ${kind}, which it does not map`,
    );
  };
  return { names: { of } };
}

const mapped = (words: Readonly<Record<string, string>> | undefined, original: string): string =>
  own(words ?? {}, original) ?? original;

// Words come from checkpoints, where one may be called `constructor`.
const own = <Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;
