import { isDeepStrictEqual } from 'node:util';
import type { JsonObject, Protectable, Resource, ResourceKey } from '../../../src/core/contracts/index.ts';
import { discover } from '../../../src/core/graph/discover.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { openStackResources } from '../../../src/resources/openstack/index.ts';
import type { Project } from './project.ts';

const SERVER = 'OS::Nova::Server';
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

/** Who depends on what, by the names that are given to both. */
export const edgesOf = (graph: ResourceGraph, nameOf: (key: ResourceKey) => string): readonly string[] =>
  graph.resources
    .flatMap((from, at) =>
      [...graph.dependencies(at)].map((to) => {
        const target = graph.resources[to];
        return `${nameOf(from)} > ${target === undefined ? '' : nameOf(target)}`;
      }),
    )
    .toSorted();

/**
 * How what a restore made in one project differs from what another one has: in what there is, what depends on what, and
 * how servers are described.
 */
export async function differences(
  source: Pick<Project, 'client' | 'id'>,
  destination: Pick<Project, 'client' | 'id'>,
  standIns: readonly { readonly from: ResourceKey; readonly to: ResourceKey }[],
): Promise<readonly string[]> {
  const ids = new Map(standIns.map(({ from, to }) => [`${from.type}/${from.id}`, to.id]));
  const nameOf = ({ type, id }: ResourceKey): string => `${type}/${id}`;
  const before = await graphOf(source);
  const expected = edgesOf(before, ({ type, id }) => `${type}/${ids.get(`${type}/${id}`) ?? '?'}`);
  const found = edgesOf(await graphOf(destination), nameOf);
  const [missing, more] = [expected, found].map((edges, at) => {
    const other = at === 0 ? found : expected;
    return edges.filter((edge) => !other.includes(edge));
  });
  const words = new Map(standIns.map(({ from, to }) => [from.id, to.id]));
  const described: string[] = [];
  for (const { type, id } of before.resources.filter((one) => one.type === SERVER)) {
    const capture = async (project: Pick<Project, 'client'>, key: ResourceKey) =>
      (await resourcesOf(project).get(type)?.capture(key, newCall())) ?? {};
    const there = await capture(source, { type, id });
    const { metadata, ...now } = await capture(destination, { type, id: words.get(id) ?? '' });
    const { 'fafnir-token': token, ...own } = metadata as JsonObject;
    const wanted = JSON.stringify(there, (_, one) => words.get(one) ?? one);
    const is = { ...now, metadata: own };
    if (typeof token !== 'string' || !isDeepStrictEqual(is, JSON.parse(wanted)))
      described.push(`server ${id} was restored as ${JSON.stringify(is)}, not ${wanted}`);
  }
  return [
    ...(missing ?? []).map((edge) => `missing: ${edge}`),
    ...(more ?? []).map((edge) => `too much: ${edge}`),
    ...described,
  ];
}

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
