import type { Protectable, Provider, Resource, ResourceKey } from 'fafnir';

const call = { signal: new AbortController().signal };

/** A resource and what it depends on directly. */
export interface Node {
  readonly resource: Resource;
  readonly dependencies: readonly string[];
}

/** How a resource is written; names it within a site. */
export const keyText = ({ type, id }: ResourceKey): string => `${type} ${id}`;

/** The provider's plugin for a resource. */
export function pluginFor(provider: Provider, { type }: ResourceKey): Protectable {
  const plugin = provider.protectables.get(type);
  if (plugin === undefined) throw new Error(`${provider.name} has no plugin for ${type}`);
  return plugin;
}

/** Everything that the roots depend on, each resource once, in the order it was met. */
export async function readApplication(
  provider: Provider,
  roots: readonly ResourceKey[],
): Promise<ReadonlyMap<string, Node>> {
  const nodes = new Map<string, Node>();
  const waiting: Resource[] = [];
  for (const root of roots) waiting.push(...(await pluginFor(provider, root).find([root.id], call)));
  for (let resource = waiting.shift(); resource !== undefined; resource = waiting.shift()) {
    if (nodes.has(keyText(resource))) continue;
    const { resources, failures } = await pluginFor(provider, resource).dependencies([resource], call);
    for (const { error } of failures) throw error;
    nodes.set(keyText(resource), { resource, dependencies: resources.map(keyText) });
    waiting.push(...resources);
  }
  return nodes;
}
