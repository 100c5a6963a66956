import type { ResourceKey } from './identity.ts';
import type { ErrorRecord } from './job.ts';
import type { JsonObject } from './json.ts';

/**
 * Chooses resources by what they are like. All given conditions must hold, and at least one is given. Upper and
 * lower case differ everywhere.
 */
export type ResourceRule = {
  /** The resource is of this type. */
  readonly type?: string;
  /** It has all these tags with these values; null stands for any value. */
  readonly tags?: Readonly<Record<string, string | null>>;
  /** A pattern for its whole name; `*` stands for any characters, also none, and everything else for itself. */
  readonly name?: string;
  /** It has all these attributes with equal values; the order of members in a value means nothing. */
  readonly attributes?: JsonObject;
};

/** Chooses resources: one by its key, which has an `id`, or any number by a rule, which has none. */
export type ResourceSelector = ResourceKey | ResourceRule;

/** A dependency that no plugin can see, as the host declares it. */
export type DeclaredDependency = {
  /** Who depends; the declaration means nothing where this is not part of the application. */
  readonly from: ResourceKey;
  /** On what; it must exist, and becomes part of the application. */
  readonly to: ResourceKey;
};

/** A resource whose dependencies are not all known, because they could not be read. */
export type IncompleteResource = {
  /** The resource. */
  readonly resource: ResourceKey;
  /** Why. */
  readonly error: ErrorRecord;
};
