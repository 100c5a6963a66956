import * as z from 'zod';
import type { JsonObject, Resource } from '../../core/contracts/index.ts';
import { isId } from '../../core/identity.ts';
import { corrupt } from './file-error.ts';
import type { RecordFolder } from './record-folder.ts';

const DEEPEST = 32;
const MOST_TAGS = 256;
const LONGEST_TAG = 256;
const LONGEST_TAG_VALUE = 1_024;

/** An id that a record refers to. */
export const localId: z.ZodType<string> = z.string().refine(isId, 'not an id');

type Tags = NonNullable<Resource['tags']>;

/** Tags within the bounds of `Resource`. They stay as they are, whatever their names: a record schema loses some. */
export const localTags: z.ZodType<Tags> = z.custom<Tags>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length <= MOST_TAGS &&
    Object.entries(value).every(
      ([tag, label]: [string, unknown]) =>
        tag !== '' &&
        tag.length <= LONGEST_TAG &&
        typeof label === 'string' &&
        label.length <= LONGEST_TAG_VALUE,
    ),
  `at most ${MOST_TAGS} texts of at most ${LONGEST_TAG_VALUE} characters, by names of 1 to ${LONGEST_TAG}`,
);

/** Fields of every record. Others are kept and restored as they are. */
export type CommonFields = JsonObject & {
  /** What people call the resource. */
  readonly name: string;
  /** Labels that its owner gave it, for selection. */
  readonly tags?: Tags;
  /** The creation that made it; part of no description. */
  readonly token?: string;
};

/** What a record must look like. */
export type FieldsSchema<Fields> = z.ZodType<Fields>;

/** Checks a value that came from outside; `CORRUPT` naming `where` otherwise. */
export function checkFields<Fields>(where: string, schema: FieldsSchema<Fields>, value: unknown): Fields {
  if (isTooDeep(value)) throw corrupt(where, `nested more than ${DEEPEST} levels deep`);
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const issues = error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`);
  throw corrupt(where, issues.join('; '), error);
}

/** The record of an id, or undefined where there is none. */
export async function readFields<Fields>(
  folder: RecordFolder,
  id: string,
  schema: FieldsSchema<Fields>,
): Promise<Fields | undefined> {
  const text = await folder.read(id);
  if (text === undefined) return undefined;
  const path = folder.path(id);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(path, 'not JSON', error);
  }
  return checkFields(path, schema, value);
}

const described = z.looseObject({ id: localId });

/** The id of the original in a description; `CORRUPT` naming `where` otherwise. */
export function originalId(where: string, description: JsonObject): string {
  return checkFields(where, described, description).id;
}

/** What is restorable of a record: all but the token of its creation, with its id. */
export function describeFields({ token: _, ...fields }: CommonFields, id: string): JsonObject {
  return { ...fields, id };
}

/** The name and tags of a resource, from its record. */
export function labelsOf({ name, tags }: CommonFields): Pick<Resource, 'name' | 'tags'> {
  return { name, ...(tags && { tags }) };
}

function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth <= DEEPEST; depth += 1) {
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
    if (level.length === 0) return false;
  }
  return true;
}
