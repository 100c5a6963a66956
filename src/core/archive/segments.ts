import { pMapIterable } from 'p-map';
import * as z from 'zod';
import { FafnirError } from '../errors.ts';
import { digest } from './schema-parts.ts';

/** Characters of JSON in a segment; one more entry may go beyond. */
export const SEGMENT_LENGTH: number = 2 ** 20;
const SEGMENTS_AT_ONCE = 4;

/** A list of any length: how many entries it has, and the digests of the records that have them, in order. */
export type SegmentedPart = { readonly count: number; readonly segments: readonly string[] };

/** The form of such a list, of at most so many entries that nobody makes a reader allocate without end. */
export const segmentedPart = (most: number): z.ZodType<SegmentedPart> =>
  z.strictObject({ count: z.int().nonnegative().max(most), segments: z.array(digest) });

/** The records of a list, one by one: only so are they never all in memory. */
export function* cutSegments(kind: string, list: Iterable<object | number>): Generator<object> {
  const record = (entries: readonly (object | number)[]): object => ({ format: 1, kind, entries });
  let entries: (object | number)[] = [];
  let length = 0;
  for (const entry of list) {
    entries.push(entry);
    length += lengthOf(entry);
    if (length < SEGMENT_LENGTH) continue;
    yield record(entries);
    entries = [];
    length = 0;
  }
  if (entries.length > 0) yield record(entries);
}

// Attributes come from plugins: they may hold what is no JSON, go round in circles or be nested beyond all sense.
function lengthOf(entry: object | number): number {
  try {
    return JSON.stringify(entry).length;
  } catch (cause) {
    const id = typeof entry === 'object' && 'id' in entry ? ` of ${String(entry.id)}` : '';
    throw new FafnirError('WRONG_ANSWER', `the attributes${id} are not JSON`, { cause });
  }
}

/** Stores records, a few at once; resolves with their digests in order. */
export async function putSegments(
  records: Iterable<object>,
  put: (record: object) => Promise<string>,
): Promise<string[]> {
  const digests: string[] = [];
  const stored = pMapIterable(records, put, { concurrency: SEGMENTS_AT_ONCE });
  for await (const digest of stored) digests.push(digest);
  return digests;
}

/** Reads the record of a digest. */
export type ReadRecord = <Output>(digest: string, schema: z.ZodType<Output>) => Promise<Output>;

/** The segments of a list in order, a few read ahead. */
export const segmentsIn = <Entry>(
  read: ReadRecord,
  { segments }: SegmentedPart,
  schema: z.ZodType<{ readonly entries: readonly Entry[] }>,
): AsyncIterable<{ readonly entries: readonly Entry[] }> =>
  pMapIterable(segments, (digest) => read(digest, schema), { concurrency: SEGMENTS_AT_ONCE });
