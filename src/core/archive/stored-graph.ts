import * as z from 'zod';
import type { Bank, CallOptions, Resource } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { bankKeys, type CheckpointOwner } from './keys.ts';
import { encodeRecord, getRecord, putRecord } from './records.ts';
import { count, type RecordPointer, resource } from './schema-parts.ts';

/** A resource graph as plain data: resources and edges by position. */
export type StoredGraph = {
  /** Ascending by (type, id). */
  readonly resources: readonly Resource[];
  /** The resource at `from[i]` depends on the one at `to[i]`. */
  readonly edges: { readonly from: readonly number[]; readonly to: readonly number[] };
};

const graphSchema = z.strictObject({
  format: z.literal(0),
  kind: z.literal('graph'),
  resources: z.array(resource),
  edges: z.strictObject({ from: z.array(count), to: z.array(count) }),
});

const recordOf = ({ resources, edges }: StoredGraph): object => ({
  format: 0,
  kind: 'graph',
  resources,
  edges,
});

/** Tells equal graphs from others. */
export const graphDigest = (graph: StoredGraph): string => encodeRecord(recordOf(graph)).digest;

/** Stores the graph of a checkpoint that is being made. */
export async function putGraph(
  bank: Bank,
  owner: CheckpointOwner,
  graph: StoredGraph,
  call: CallOptions,
): Promise<RecordPointer> {
  const keyOf = (digest: string): string => bankKeys.graph(owner.tenant, owner.id, digest);
  const digest = await putRecord(bank, keyOf, recordOf(graph), call);
  return { digest, count: graph.resources.length };
}

/** Reads a stored graph and checks that its edges point at its resources. */
export async function getGraph(
  bank: Bank,
  owner: CheckpointOwner,
  { digest }: RecordPointer,
  call: CallOptions,
): Promise<StoredGraph> {
  const key = bankKeys.graph(owner.tenant, owner.id, digest);
  const graph = await getRecord(bank, key, graphSchema, call, digest);
  const { from, to } = graph.edges;
  const inside = (position: number): boolean => position < graph.resources.length;
  if (from.length !== to.length || !from.every(inside) || !to.every(inside)) {
    throw new FafnirError('CORRUPT', `${key} in bank ${bank.name} has edges that point nowhere`);
  }
  return graph;
}
