import * as z from 'zod';
import type {
  ErrorRecord,
  IncompleteResource,
  JsonObject,
  Resource,
  ResourceKey,
  ResourceRule,
  ResourceSelector,
  SnapshotCopy,
  VolumeRef,
} from '../contracts/index.ts';
import { isId } from '../identity.ts';

// Bank contents are untrusted, so every record has a schema. Unknown fields are refused: a format version never
// gains fields.

/** A name or foreign id. */
export const text: z.ZodType<string> = z.string().min(1).max(1024);
/** One of this package's own ids. */
export const ownId = <Id extends string>(): z.ZodType<Id> => z.custom<Id>(isId);
/** A whole number from 0 on. */
export const count: z.ZodType<number> = z.int().nonnegative();
/** ISO 8601 in UTC. */
export const instant: z.ZodType<string> = z.iso.datetime();
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/**
 * Any JSON object. What a record holds was parsed as JSON and can be nothing else, so it is not walked through: however
 * deep it is, and whatever its members are called, it stays as it was stored.
 */
export const jsonObject: z.ZodType<JsonObject> = z.custom<JsonObject>(isObject, 'must be an object');
const tags = z.custom<Readonly<Record<string, string>>>(
  (value) =>
    isObject(value) &&
    Object.keys(value).length <= 256 &&
    Object.entries(value).every(
      ([name, label]: [string, unknown]) =>
        name !== '' && name.length <= 256 && typeof label === 'string' && label.length <= 1_024,
    ),
  'must be at most 256 short texts by name',
);
/** A resource's identity. */
export const resourceKey: z.ZodType<ResourceKey> = z.strictObject({ type: text, id: text });
const rule: z.ZodType<ResourceRule> = z.strictObject({
  type: text.exactOptional(),
  tags: z
    .custom<Readonly<Record<string, string | null>>>(
      (value) =>
        isObject(value) &&
        Object.values(value).every((label: unknown) => label === null || typeof label === 'string'),
      'must be texts or null by name',
    )
    .exactOptional(),
  name: z.string().exactOptional(),
  attributes: jsonObject.exactOptional(),
});
/** What chooses resources. */
export const resourceSelector: z.ZodType<ResourceSelector> = z.union([resourceKey, rule]);
/** A resource. */
export const resource: z.ZodType<Resource> = z.strictObject({
  type: text,
  id: text,
  name: z.string(),
  tags: tags.exactOptional(),
  attributes: jsonObject,
});
/** An error as it is recorded. */
export const errorRecord: z.ZodType<ErrorRecord> = z.strictObject({
  code: text,
  message: z.string().max(1_024),
  retryable: z.boolean(),
  hint: z.string().max(1_024),
});
/** A resource whose dependencies could not all be read. */
export const incompleteResource: z.ZodType<IncompleteResource> = z.strictObject({
  resource: resourceKey,
  error: errorRecord,
});
/** A volume. */
export const volumeRef: z.ZodType<VolumeRef> = z.strictObject({ array: text, id: text, size: count });
/** A proof level. */
export const proof: z.ZodType<SnapshotCopy['proof']> = z.enum([
  'stored',
  'read-back',
  'source-compared',
  'restored',
]);
/** A kind of copy. */
export const copyKind: z.ZodType<SnapshotCopy['kind']> = z.enum(['array', 'archive', 'external']);
/** A copy of a volume. */
export const snapshotCopy: z.ZodType<SnapshotCopy> = z.strictObject({
  kind: copyKind,
  location: text,
  reference: jsonObject,
  volume: volumeRef,
  takenAt: instant,
  proof,
});

/** Points from a commit to another record of the checkpoint; its key follows from the digest. */
export type RecordPointer = {
  /** Of the record: see `keyedDigest`. */
  readonly digest: string;
  /** How many entries it has. */
  readonly count: number;
};

/** 32 bytes in hexadecimal digits: a digest, or the id of a chunk. */
export const digest: z.ZodType<string> = z.string().regex(/^[0-9a-f]{64}$/);
/** A pointer to another record. */
export const recordPointer: z.ZodType<RecordPointer> = z.strictObject({ digest, count });
