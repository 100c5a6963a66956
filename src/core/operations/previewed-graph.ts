import * as z from 'zod';
import { digest, incompleteResource, resource, resourceKey } from '../archive/schema-parts.ts';
import { graphDigest } from '../archive/stored-graph.ts';
import type { IncompleteResource, Resource, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { ResourceGraph } from '../graph/resource-graph.ts';
import { parseOptions, strictOptions } from '../options.ts';

/** A discovered graph as plain data; `ResourceGraph.from` makes a graph of it again. */
export type PreviewedGraph = {
  /** Tells the graph from any other. */
  readonly digest: string;
  /** By position. */
  readonly resources: readonly Resource[];
  /** The resource at `from[i]` depends on the one at `to[i]`. */
  readonly edges: {
    /** Positions of dependants. */
    readonly from: readonly number[];
    /** Positions of what they depend on. */
    readonly to: readonly number[];
  };
  /** Resources that were met and excluded by choice. */
  readonly excluded: readonly ResourceKey[];
  /** Resources whose dependencies could not all be read. */
  readonly incomplete: readonly IncompleteResource[];
};

/** A copy of a graph as plain data, each resource as it would be stored. */
export function previewedGraph(graph: ResourceGraph): PreviewedGraph {
  const { resources, edges, excluded, incomplete } = graph;
  return {
    // Before the resources are copied: it refuses attributes that are no JSON.
    digest: graphDigest(graph),
    resources: resources.map(copyOf),
    edges: { from: Array.from(edges.from), to: Array.from(edges.to) },
    excluded: excluded.map(({ type, id }) => ({ type, id })),
    incomplete: incomplete.map(({ resource: { type, id }, error }) => ({
      resource: { type, id },
      error: { ...error },
    })),
  };
}

// As JSON, for a plugin may have put anything into them, and nested it deeper than a structured clone goes.
const copyOf = ({ type, id, name, tags, attributes }: Resource): Resource =>
  JSON.parse(JSON.stringify({ type, id, name, tags, attributes }));

const position = z.int().nonnegative();
const graphSchema = strictOptions({
  digest,
  resources: z.array(resource),
  edges: strictOptions({ from: z.array(position), to: z.array(position) }),
  excluded: z.array(resourceKey),
  incomplete: z.array(incompleteResource),
}) satisfies z.ZodType<PreviewedGraph>;

/** A previewed graph that came back from outside, as a graph; `INVALID_OPTIONS` where it cannot be one. */
export function parsePreviewedGraph(where: string, value: unknown): ResourceGraph {
  const graph = parseOptions(where, graphSchema, value);
  try {
    return ResourceGraph.from(graph);
  } catch (cause) {
    const { message } = FafnirError.from(cause, 'INVALID_OPTIONS', 'no graph');
    throw new FafnirError('INVALID_OPTIONS', `${where}: ${message}`, { cause });
  }
}
