import * as z from 'zod';
import type { OpenStackService } from '../../../src/clients/openstack/index.ts';
import type { Project } from './project.ts';

const live = { signal: new AbortController().signal };
const row = z.looseObject({ id: z.string() });
const owner = z.object({ project_id: z.string().nullish(), tenant_id: z.string().nullish() });

/** The ids of all that a project has, by where its services list it. */
export async function censusOf({
  id: project,
  compute,
  volumes,
  networks,
}: Project): Promise<Record<string, readonly string[]>> {
  const places: readonly (readonly [OpenStackService, string, string])[] = [
    [compute, 'servers', 'servers'],
    [compute, 'os-server-groups', 'server_groups'],
    [volumes, 'volumes', 'volumes'],
    [volumes, 'snapshots', 'snapshots'],
    [volumes, 'backups', 'backups'],
    [networks, 'networks', 'networks'],
    [networks, 'subnets', 'subnets'],
    [networks, 'routers', 'routers'],
    [networks, 'ports', 'ports'],
    [networks, 'floatingips', 'floatingips'],
    [networks, 'security-groups', 'security_groups'],
    [networks, 'security-group-rules', 'security_group_rules'],
  ];
  const census: Record<string, readonly string[]> = {};
  for (const [service, path, collection] of places) {
    const ids: string[] = [];
    for await (const one of service.list({ path: [path], collection, item: row }, live)) {
      const { project_id, tenant_id } = owner.parse(one);
      // What Cinder lists says nothing of whose it is, and is the project's.
      if ((project_id ?? tenant_id ?? project) === project) ids.push(one.id);
    }
    census[path] = ids.sort();
  }
  return census;
}
