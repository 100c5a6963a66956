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
import { incompleteResource, type RecordPointer, resource, resourceKey } from './schema-parts.ts';
import {
  cutSegments,
  putSegments,
  type ReadRecord,
  type SegmentedPart,
  segmentedPart,
  SEGMENT_LENGTH,
  segmentsIn,
} from './segments.ts';
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
const LONGEST_ROW = 2 ** 12;

const indexSchema = z.strictObject({
  format: z.literal(1),
  kind: z.literal('graph'),
  resources: segmentedPart(MOST_RESOURCES),
  edges: segmentedPart(MOST_EDGES),
  excluded: segmentedPart(MOST_RESOURCES),
  incomplete: segmentedPart(MOST_RESOURCES),
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
  const putAll = (part: Part): Promise<string[]> => putSegments(segmentsOf(graph, part), put);
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

const segmentsOf = (graph: StoredGraph, part: Part): Iterable<object> =>
  cutSegments(`graph-${part}`, entriesOf(graph, part));

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
  const { index, read, where } = await openIndex(vault, checkpoint, pointer, call);
  const resources = await allOf(readKeyed(read, index.resources, SEGMENTS.resources, self, where));
  const edges = await readEdges(read, index.edges, resources.length, where);
  const excluded = await allOf(readKeyed(read, index.excluded, SEGMENTS.excluded, self, where));
  const keyOfIncomplete = (entry: IncompleteResource): ResourceKey => entry.resource;
  const incomplete = await allOf(
    readKeyed(read, index.incomplete, SEGMENTS.incomplete, keyOfIncomplete, where),
  );
  return { resources, edges, excluded, incomplete };
}

/** The resources alone of a stored graph, ascending, a segment in memory at a time; `CORRUPT` as {@link getGraph}. */
export async function* getResources(
  vault: Vault,
  checkpoint: CheckpointId,
  pointer: RecordPointer,
  call: CallOptions,
): AsyncGenerator<Resource> {
  const { index, read, where } = await openIndex(vault, checkpoint, pointer, call);
  yield* readKeyed(read, index.resources, SEGMENTS.resources, self, where);
}

async function openIndex(
  vault: Vault,
  checkpoint: CheckpointId,
  pointer: RecordPointer,
  call: CallOptions,
): Promise<{ readonly index: Index; readonly read: ReadRecord; readonly where: string }> {
  const keyOf = (digest: string): string => bankKeys.graph(vault.tenant, checkpoint, digest);
  const where = `${keyOf(pointer.digest)} in bank ${vault.bank.name}`;
  const read: ReadRecord = (digest, schema) => getRecord(vault, keyOf(digest), schema, call);
  const index = await read(pointer.digest, indexSchema);
  assertWhole(index.resources.count === pointer.count, where, 'is not as large as its pointer says');
  return { index, read, where };
}

const self = (entry: ResourceKey): ResourceKey => entry;

async function allOf<Entry>(entries: AsyncIterable<Entry>): Promise<readonly Entry[]> {
  const all: Entry[] = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

async function* readKeyed<Entry>(
  read: ReadRecord,
  part: SegmentedPart,
  schema: z.ZodType<{ readonly entries: readonly Entry[] }>,
  keyOf: (entry: Entry) => ResourceKey,
  where: string,
): AsyncGenerator<Entry> {
  let found = 0;
  let previous: ResourceKey | undefined;
  for await (const { entries } of segmentsIn(read, part, schema)) {
    found += entries.length;
    assertWhole(found <= part.count, where, 'has more entries than it says');
    for (const entry of entries) {
      const key = keyOf(entry);
      assertWhole(previous === undefined || isBefore(previous, key), where, 'is not in order');
      previous = key;
      yield entry;
    }
  }
  assertWhole(found === part.count, where, 'has fewer entries than it says');
}

async function readEdges(
  read: ReadRecord,
  part: SegmentedPart,
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
