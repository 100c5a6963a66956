import type { Protectable, Resource } from '../../../src/core/contracts/index.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import type { Project } from './project.ts';

const newCall = () => ({ signal: new AbortController().signal });
const IN_METADATA = /fafnir-token":"([a-f0-9]{32})"/;
const IN_WORDS = /-([a-f0-9]{32})\b/;

/** The plugins for a project, by type. */
export const resourcesOf = ({ client }: Pick<Project, 'client'>): ReadonlyMap<string, Protectable> =>
  new Map(openStackResources({ client }).map((one) => [one.type, one]));

/** All that a project has. */
export const graphOf = (project: Pick<Project, 'client' | 'id'>): Promise<ResourceGraph> =>
  discover(
    { roots: [{ type: 'OS::Keystone::Project', id: project.id }], protectables: resourcesOf(project) },
    newCall(),
  );

/** Removes what restores made in a project, dependants first, by the tokens that it carries. Resolves with what that was. */
export async function removeRestored(project: Pick<Project, 'client' | 'id'>): Promise<readonly Resource[]> {
  const graph = await graphOf(project);
  const removed: Resource[] = [];
  for (const position of [...graph.order].reverse()) {
    const resource = graph.resources[position];
    const protectable = resource && resourcesOf(project).get(resource.type);
    if (resource === undefined || protectable === undefined) continue;
    const description = await protectable.capture({ type: resource.type, id: resource.id }, newCall());
    const text = JSON.stringify(description);
    // A server also names its key pair, which ends with another token.
    const [, token] = IN_METADATA.exec(text) ?? IN_WORDS.exec(text) ?? [];
    if (token === undefined) continue;
    await protectable.remove({ token }, newCall());
    removed.push(resource);
  }
  return removed;
}
