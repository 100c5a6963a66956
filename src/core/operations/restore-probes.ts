import type { Artifact } from '../archive/artifacts.ts';
import type { CallOptions, Provider, ResourceKey } from '../contracts/index.ts';
import { FafnirError } from '../errors.ts';
import { describeKey, type ResourceGraph } from '../graph/resource-graph.ts';
import type { OperationContext } from '../jobs/operation.ts';
import { walkGraph } from './walk-graph.ts';

const PROBES_AT_ONCE = 8;

/** Whether one of this type has to serve before a restore that made it has succeeded. */
export const isProbed = ({ protectables }: Provider, { type }: Pick<ResourceKey, 'type'>): boolean =>
  protectables.get(type)?.probe !== undefined;

/** A provider whose plugins' probes are followed by those of the host. */
export function withProbes(provider: Provider): Provider {
  if (provider.probes.size === 0) return provider;
  const protectables = new Map(provider.protectables);
  for (const [type, host] of provider.probes) {
    const protectable = protectables.get(type);
    if (protectable === undefined) continue;
    protectables.set(type, {
      ...protectable,
      async probe(resource, request, call) {
        await protectable.probe?.(resource, request, call);
        await host.probe(resource, request, call);
      },
    });
  }
  return { ...provider, protectables };
}

/**
 * Waits until what was created serves, dependencies first. Only once all of it is connected: what is joined to it, such as a
 * server to its port, may be what makes it serve. Resolves with how many were asked.
 */
export async function probeCreated(
  context: OperationContext,
  graph: ResourceGraph,
  destination: Provider,
  created: ReadonlyMap<number, Pick<Artifact, 'resource'>>,
  probe: (position: number, call: CallOptions) => Promise<void>,
): Promise<number> {
  const asked = new Set(
    [...created].flatMap(([position, { resource }]) => (isProbed(destination, resource) ? [position] : [])),
  );
  if (asked.size === 0) return 0;
  const run = async (position: number): Promise<void> => {
    const resource = created.get(position)?.resource;
    if (resource === undefined) return;
    const name = describeKey(resource);
    await context.step(`probe/${name}`, async (call) => {
      try {
        await probe(position, call);
      } catch (error) {
        call.signal.throwIfAborted();
        throw notServing(name, error);
      }
      return null;
    });
  };
  const takesPart = (position: number): boolean => asked.has(position);
  const concurrency = PROBES_AT_ONCE;
  const phase = { name: 'probe', order: 'dependencies-first', concurrency, takesPart, run } as const;
  await walkGraph(context, graph, [phase], 'fail');
  return asked.size;
}

function notServing(name: string, cause: unknown): FafnirError {
  const { message, retryable, retryAfterMilliseconds } = FafnirError.from(
    cause,
    'PLUGIN_FAILED',
    'unexpected error',
  );
  return new FafnirError('NOT_SERVING', `what stands for ${name} does not serve: ${message}`, {
    cause,
    retryable,
    ...(retryAfterMilliseconds !== undefined && { retryAfterMilliseconds }),
  });
}
