import { pMapIterable } from 'p-map';
import * as z from 'zod';
import type {
  CallOptions,
  CheckpointId,
  ErrorRecord,
  IncompleteResource,
  Resource,
  ResourceKey,
} from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { bankKeys } from './keys.ts';
import { digestOf, encodeRecord, getRecord, putRecord } from './records.ts';
import { digest, incompleteResource, type RecordPointer, resource, resourceKey } from './schema-parts.ts';
import type { Vault } from './vault.ts';

/** A resource graph as plain data: resources and edges by position. */
export type StoredGraph = {
  /** Ascending by (type, id). */
  readonly resources: readonly Resource[];
  /** The resource at `from[i]` depends on the one at `to[i]`; ascending by `from`, then `to`. */
  readonly edges: { readonly from: ArrayLike<number>; readonly to: ArrayLike<number> };
  /** Keys of resources that were excluded by choice, ascending. */
  readonly excluded?: readonly ResourceKey[];
  /** Resources whose dependencies could not all be read, ascending by key. */
  readonly incomplete?: readonly IncompleteResource[];
};

/** A graph as it is read back. */
export type ReadGraph = Required<StoredGraph> & {
  readonly edges: { readonly from: Uint32Array; readonly to: Uint32Array };
};

// What a reader accepts, so that nobody makes it allocate without end.
const MOST_RESOURCES = 2 ** 24;
const MOST_EDGES = 2 ** 27;
// Characters of JSON in a segment; one more entry may go beyond.
const SEGMENT_LENGTH = 2 ** 20;
const LONGEST_ROW = 2 ** 12;
const SEGMENTS_AT_ONCE = 4;

const partSchema = (most: number): z.ZodType<{ count: number; segments: string[] }> =>
  z.strictObject({ count: z.int().nonnegative().max(most), segments: z.array(digest) });

const indexSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('graph'),
  resources: partSchema(MOST_RESOURCES),
  edges: partSchema(MOST_EDGES),
  excluded: partSchema(MOST_RESOURCES),
  incomplete: partSchema(MOST_RESOURCES),
});

type Index = z.infer<typeof indexSchema>;
type Part = 'resources' | 'edges' | 'excluded' | 'incomplete';

// A dependant's position, then positions of what it depends on.
const row = z.custom<readonly number[]>(
  (value) => Array.isArray(value) && value.length > 1 && value.every((at) => Number.isInteger(at) && at >= 0),
);

const segmentSchema = <Entry>(part: Part, entry: z.ZodType<Entry>) =>
  z.strictObject({ format: z.literal(1), kind: z.literal(`graph-${part}`), entries: z.array(entry) });

const SEGMENTS = {
  resources: segmentSchema('resources', resource),
  edges: segmentSchema('edges', row),
  excluded: segmentSchema('excluded', resourceKey),
  incomplete: segmentSchema('incomplete', incompleteResource),
};

const NO_REASON: ErrorRecord = { code: '', message: '', retryable: false, hint: '' };

/**
 * Tells equal graphs from others. Why a resource is incomplete does not count, for such a reason may have something of
 * its own each time, like the number of a request. One segment is in memory at a time.
 */
export function graphDigest({ resources, edges, excluded = [], incomplete = [] }: StoredGraph): string {
  const unreasoned = incomplete.map(({ resource }) => ({ resource, error: NO_REASON }));
  const compared = { resources, edges, excluded, incomplete: unreasoned };
  const digestsOf = (part: Part): string[] =>
    Array.from(segmentsOf(compared, part), (record) => digestOf(encodeRecord(record)));
  const index = indexOf(compared, {
    resources: digestsOf('resources'),
    edges: digestsOf('edges'),
    excluded: digestsOf('excluded'),
    incomplete: digestsOf('incomplete'),
  });
  return digestOf(encodeRecord(index));
}

/** Stores the graph of a checkpoint that is being made: its segments, then the index that names them. */
export async function putGraph(
  vault: Vault,
  checkpoint: CheckpointId,
  graph: StoredGraph,
  call: CallOptions,
): Promise<RecordPointer> {
  const keyOf = (digest: string): string => bankKeys.graph(vault.tenant, checkpoint, digest);
  const put = (record: object): Promise<string> => putRecord(vault, keyOf, record, call);
  const putAll = async (part: Part): Promise<string[]> => {
    const digests: string[] = [];
    const stored = pMapIterable(segmentsOf(graph, part), put, { concurrency: SEGMENTS_AT_ONCE });
    for await (const digest of stored) digests.push(digest);
    return digests;
  };
  const index = indexOf(graph, {
    resources: await putAll('resources'),
    edges: await putAll('edges'),
    excluded: await putAll('excluded'),
    incomplete: await putAll('incomplete'),
  });
  return { digest: await put(index), count: graph.resources.length };
}

function indexOf(graph: StoredGraph, segments: Readonly<Record<Part, string[]>>): object {
  const { resources, edges, excluded = [], incomplete = [] } = graph;
  if (resources.length > MOST_RESOURCES || edges.from.length > MOST_EDGES) {
    throw new FafnirError('LIMIT_EXCEEDED', `a graph of ${resources.length} resources is too large to store`);
  }
  return {
    format: 1,
    kind: 'graph',
    resources: { count: resources.length, segments: segments.resources },
    edges: { count: edges.from.length, segments: segments.edges },
    excluded: { count: excluded.length, segments: segments.excluded },
    incomplete: { count: incomplete.length, segments: segments.incomplete },
  } satisfies Index;
}

/** The records of one part, one by one: only so are they never all in memory. */
function* segmentsOf(graph: StoredGraph, part: Part): Generator<object> {
  const record = (entries: readonly object[]): object => ({ format: 1, kind: `graph-${part}`, entries });
  let entries: object[] = [];
  let length = 0;
  for (const entry of entriesOf(graph, part)) {
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
function lengthOf(entry: object): number {
  try {
    return JSON.stringify(entry).length;
  } catch (cause) {
    const id = 'id' in entry ? ` of ${String(entry.id)}` : '';
    throw new FafnirError('WRONG_ANSWER', `the attributes${id} are not JSON`, { cause });
  }
}

function* entriesOf(graph: StoredGraph, part: Part): Generator<object> {
  switch (part) {
    case 'resources':
      for (const { type, id, name, tags, attributes } of graph.resources) {
        yield tags === undefined ? { type, id, name, attributes } : { type, id, name, tags, attributes };
      }
      return;
    case 'edges':
      yield* rowsOf(graph.edges);
      return;
    case 'excluded':
      for (const { type, id } of graph.excluded ?? []) yield { type, id };
      return;
    case 'incomplete':
      yield* graph.incomplete ?? [];
      return;
    default:
      part satisfies never;
  }
}

function* rowsOf({ from, to }: StoredGraph['edges']): Generator<readonly number[]> {
  for (let edge = 0; edge < from.length; ) {
    const source = from[edge] ?? 0;
    const entry = [source];
    for (; from[edge] === source && entry.length <= LONGEST_ROW; edge += 1) entry.push(to[edge] ?? 0);
    yield entry;
  }
}

/**
 * Reads a stored graph, segment by segment. Bank contents are untrusted: `CORRUPT` where the counts are not those of
 * the index, something is out of order or there twice, or an edge points nowhere. That there is no cycle is for the
 * caller to find.
 */
export async function getGraph(
  vault: Vault,
  checkpoint: CheckpointId,
  pointer: RecordPointer,
  call: CallOptions,
): Promise<ReadGraph> {
  const keyOf = (digest: string): string => bankKeys.graph(vault.tenant, checkpoint, digest);
  const where = `${keyOf(pointer.digest)} in bank ${vault.bank.name}`;
  const read: ReadRecord = (digest, schema) => getRecord(vault, keyOf(digest), schema, call);
  const index = await read(pointer.digest, indexSchema);
  assertWhole(index.resources.count === pointer.count, where, 'is not as large as its pointer says');
  const self = (entry: ResourceKey): ResourceKey => entry;
  const resources = await readKeyed(read, index.resources, SEGMENTS.resources, self, where);
  const edges = await readEdges(read, index.edges, resources.length, where);
  const excluded = await readKeyed(read, index.excluded, SEGMENTS.excluded, self, where);
  const keyOfIncomplete = (entry: IncompleteResource): ResourceKey => entry.resource;
  const incomplete = await readKeyed(read, index.incomplete, SEGMENTS.incomplete, keyOfIncomplete, where);
  return { resources, edges, excluded, incomplete };
}

type ReadRecord = <Output>(digest: string, schema: z.ZodType<Output>) => Promise<Output>;
type SegmentSchema<Entry> = z.ZodType<{ readonly entries: readonly Entry[] }>;

const segmentsIn = <Entry>(
  read: ReadRecord,
  { segments }: Index[Part],
  schema: SegmentSchema<Entry>,
): AsyncIterable<{ readonly entries: readonly Entry[] }> =>
  pMapIterable(segments, (digest) => read(digest, schema), { concurrency: SEGMENTS_AT_ONCE });

async function readKeyed<Entry>(
  read: ReadRecord,
  part: Index[Part],
  schema: SegmentSchema<Entry>,
  keyOf: (entry: Entry) => ResourceKey,
  where: string,
): Promise<readonly Entry[]> {
  const all: Entry[] = [];
  let previous: ResourceKey | undefined;
  for await (const { entries } of segmentsIn(read, part, schema)) {
    for (const entry of entries) {
      const key = keyOf(entry);
      assertWhole(previous === undefined || isBefore(previous, key), where, 'is not in order');
      previous = key;
      all.push(entry);
    }
    assertWhole(all.length <= part.count, where, 'has more entries than it says');
  }
  assertWhole(all.length === part.count, where, 'has fewer entries than it says');
  return all;
}

async function readEdges(
  read: ReadRecord,
  part: Index[Part],
  resources: number,
  where: string,
): Promise<ReadGraph['edges']> {
  assertWhole(
    part.count <= part.segments.length * SEGMENT_LENGTH,
    where,
    'has more edges than segments hold',
  );
  const from = new Uint32Array(part.count);
  const to = new Uint32Array(part.count);
  let edge = 0;
  for await (const { entries } of segmentsIn(read, part, SEGMENTS.edges)) {
    for (const row of entries) {
      const source = row[0] ?? 0;
      assertWhole(source < resources, where, 'has edges that point nowhere');
      for (let at = 1; at < row.length; at += 1, edge += 1) {
        const target = row[at] ?? 0;
        assertWhole(target < resources, where, 'has edges that point nowhere');
        assertWhole(edge < part.count, where, 'has more edges than it says');
        const [before, beside] = [from[edge - 1] ?? -1, to[edge - 1] ?? -1];
        assertWhole(before < source || (before === source && beside < target), where, 'is not in order');
        from[edge] = source;
        to[edge] = target;
      }
    }
  }
  assertWhole(edge === part.count, where, 'has fewer edges than it says');
  return { from, to };
}

function assertWhole(holds: boolean, where: string, what: string): void {
  if (!holds) throw new FafnirError('CORRUPT', `the graph ${where} ${what}`);
}

const isBefore = (a: ResourceKey, b: ResourceKey): boolean =>
  a.type === b.type ? a.id < b.id : a.type < b.type;
