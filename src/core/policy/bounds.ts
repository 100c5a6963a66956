import type { KeepBounds, SnapshotPolicy } from '../contracts/index.ts';

/** A value of any field. */
export type PolicyValue = SnapshotPolicy[keyof SnapshotPolicy];

/** What a field may be: one of a list, or a range of numbers. */
export type PolicyBounds = readonly PolicyValue[] | KeepBounds;

const isList = (bounds: PolicyBounds): bounds is readonly PolicyValue[] => Array.isArray(bounds);

const rank = (value: PolicyValue): number => (value === 'all' ? Number.POSITIVE_INFINITY : Number(value));

/** Whether a value lies within bounds. */
export function isWithin(value: PolicyValue, bounds: PolicyBounds): boolean {
  if (isList(bounds)) return bounds.includes(value);
  const { least = 0, most = 'all' } = bounds;
  return rank(least) <= rank(value) && rank(value) <= rank(most);
}

/** The values that bounds name: they lie within others where all of these do. */
export function named(bounds: PolicyBounds): readonly PolicyValue[] {
  return isList(bounds) ? bounds : [bounds.least ?? [], bounds.most ?? []].flat();
}

/** False for bounds that nothing lies within. */
export function isPossible(bounds: PolicyBounds): boolean {
  if (isList(bounds)) return bounds.length > 0;
  return rank(bounds.least ?? 0) <= rank(bounds.most ?? 'all');
}

/** What lies within both. */
export function narrowed(outer: PolicyBounds, inner: PolicyBounds): PolicyBounds {
  if (isList(inner)) return inner.filter((value) => isWithin(value, outer));
  if (isList(outer)) return outer.filter((value) => isWithin(value, inner));
  const [least, most] = [inner.least ?? 0, inner.most ?? 'all'];
  return {
    least: isWithin(least, outer) ? least : (outer.least ?? 0),
    most: isWithin(most, outer) ? most : (outer.most ?? 'all'),
  };
}

/** The bounds for people. */
export function describeBounds(bounds: PolicyBounds): string {
  if (isList(bounds)) return bounds.join(' or ');
  const { least = 0, most = 'all' } = bounds;
  return `${least} to ${most}`;
}
