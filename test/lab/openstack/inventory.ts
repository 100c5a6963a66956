import * as z from 'zod';
import type { OpenStackClient, OpenStackService } from '../../../src/clients/openstack/index.ts';

const live = { signal: new AbortController().signal };
const words = z.string().nullish();
const item = z.looseObject({
  id: z.string(),
  name: words,
  owner: words,
  project_id: words,
  volume_id: words,
});
const keyPair = z.object({ keypair: z.object({ name: z.string() }) });
const container = z.object({ name: z.string() });

/** Whose things are looked at: those of the client's project, or of all projects, which administrators may. */
export type Whose = { readonly project: string } | 'all';

/** Everything that is there, one word for each thing: its collection and its id; of snapshots, their name and volume. Sorted. */
export async function inventory(client: OpenStackClient, whose: Whose): Promise<readonly string[]> {
  const compute = client.service('compute', { least: '2.79', most: '2.93' });
  const volumes = client.service('block-storage', { least: '3.27', most: '3.70' });
  const images = client.service('image');
  const networks = client.service('network');
  const found: string[] = [];
  const read = async (
    service: OpenStackService,
    path: readonly string[],
    query: Readonly<Record<string, string>> = {},
    collection = path[0]?.replaceAll('-', '_') ?? '',
  ): Promise<void> => {
    for await (const one of service.list({ path, collection, item, query }, live)) {
      const owner = one.project_id ?? one.owner;
      // Lists of networks and images also have what others share.
      if (whose !== 'all' && owner != null && owner !== whose.project) continue;
      found.push(
        collection === 'snapshots'
          ? snapshotText({ name: one.name ?? '', volume: one.volume_id ?? '' })
          : `${collection}/${one.id}`,
      );
    }
  };
  const everybody = whose === 'all' ? { all_tenants: '1' } : {};
  await read(compute, ['servers'], everybody);
  await read(compute, ['os-server-groups'], whose === 'all' ? { all_projects: 'True' } : {}, 'server_groups');
  for (const collection of ['volumes', 'snapshots', 'backups']) await read(volumes, [collection], everybody);
  await read(images, ['images']);
  for (const collection of NETWORKING) await read(networks, [collection]);
  for await (const { keypair } of compute.list(
    { path: ['os-keypairs'], collection: 'keypairs', item: keyPair },
    live,
  ))
    found.push(`keypairs/${keypair.name}`);
  const answer = z.array(container).default([]);
  const containers = { method: 'GET', path: [], query: { format: 'json' }, answer } as const;
  for (const { name } of await client.service('object-store').request(containers, live))
    found.push(`containers/${name}`);
  if (whose === 'all') {
    const identity = client.service('identity');
    for (const collection of ['projects', 'users']) await read(identity, [collection]);
    await read(volumes, ['types'], { is_public: 'None' }, 'volume_types');
  }
  return found.sort();
}

const NETWORKING = [
  'networks',
  'subnets',
  'routers',
  'ports',
  'floatingips',
  'security-groups',
  'security-group-rules',
];

/** What an inventory calls a snapshot. */
export const snapshotText = ({ name, volume }: { readonly name: string; readonly volume: string }): string =>
  `snapshots/${name} of ${volume}`;
