import * as z from 'zod';
import { FLOATING_IPS } from './floating-ip.ts';
import { IMAGES } from './image.ts';
import { KEY_PAIRS } from './key-pair.ts';
import { groupBy, type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf } from './making.ts';
import { PORTS } from './port.ts';
import { ROUTERS } from './router.ts';
import { isRouterInterface } from './router-description.ts';
import { captureServer } from './server-description.ts';
import { SERVER_GROUPS } from './server-group.ts';
import { SERVER_RECIPE } from './server-making.ts';
import { VOLUMES } from './volume.ts';

const ITEM = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  tenant_id: z.string(),
  key_name: z.string().nullish(),
  // Nova says '' where the server boots from a volume.
  image: z.union([z.literal(''), z.object({ id: z.string() })]).nullish(),
  'OS-EXT-AZ:availability_zone': z.string().nullish(),
  'os-extended-volumes:volumes_attached': z.array(z.object({ id: z.string() })).default([]),
  metadata: z.record(z.string(), z.string()).default({}),
  tags: z.array(z.string()).default([]),
});
const TYPE = 'OS::Nova::Server';

/** A server as Nova lists it. */
export type ServerItem = Item & {
  readonly name: string;
  readonly status: string;
  readonly tenant_id: string;
  readonly key_name?: string | null | undefined;
  readonly image?: '' | { readonly id: string } | null | undefined;
  readonly 'OS-EXT-AZ:availability_zone'?: string | null | undefined;
  readonly 'os-extended-volumes:volumes_attached': readonly { readonly id: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
};

/** Servers of Nova, with the volumes that are attached. The volumes of one are a consistency group. */
export const SERVERS: Kind<ServerItem> = {
  type: TYPE,
  maker: makerOf(TYPE, SERVER_RECIPE),
  groupsVolumes: true,
  read: (cloud, call) =>
    cloud.compute.list({ path: ['servers', 'detail'], collection: 'servers', item: ITEM }, call),
  isOwn: ({ tenant_id }, project) => tenant_id === project,
  labels: ({ name, status, metadata, tags, 'OS-EXT-AZ:availability_zone': zone }) => ({
    name,
    tags: tagsOf(tags, metadata),
    attributes: { status, zone: zone ?? null },
  }),
  async links(look) {
    const [volumes, images, keyPairs, serverGroups] = [
      await look(VOLUMES),
      await look(IMAGES),
      await look(KEY_PAIRS),
      await look(SERVER_GROUPS),
    ];
    const [ports, routers, floatingIps] = [await look(PORTS), await look(ROUTERS), await look(FLOATING_IPS)];
    const portsOf = groupBy(ports.values(), ({ device_id }) => device_id);
    const groupsOf = groupBy(
      [...serverGroups.values()].flatMap(({ id, members }) => members.map((member) => ({ id, member }))),
      ({ member }) => member,
    );
    const addressesOf = groupBy(floatingIps.values(), ({ port_id }) => port_id);
    // A router of others is not seen, and their affair.
    const routersOf = groupBy(
      [...ports.values()].filter(
        (port) => isRouterInterface(port) && routers.get(port.device_id) !== undefined,
      ),
      ({ network_id }) => network_id,
    );
    return (server) => {
      const own = portsOf.get(server.id) ?? [];
      const { image, key_name } = server;
      return [
        ...server['os-extended-volumes:volumes_attached'].map(({ id }) => volumes.target(id)),
        ...own.map(({ id }) => ports.target(id)),
        ...own.flatMap(({ id }) => addressesOf.get(id) ?? []).map(({ id }) => floatingIps.target(id)),
        ...own
          .flatMap(({ network_id }) => routersOf.get(network_id) ?? [])
          .map(({ device_id }) => routers.target(device_id)),
        ...(groupsOf.get(server.id) ?? []).map(({ id }) => serverGroups.target(id)),
        // Images may be removed, or kept from us, while servers run that started from them.
        ...(typeof image === 'object' && image !== null && images.get(image.id) !== undefined
          ? [images.target(image.id)]
          : []),
        // A key pair is its user's, who may be another one or have removed it: a server needs it at its first start alone.
        ...(typeof key_name === 'string' && keyPairs.get(key_name) !== undefined
          ? [keyPairs.target(key_name)]
          : []),
      ];
    };
  },
  capture: captureServer,
};
