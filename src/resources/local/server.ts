import { BlockList, isIP, isIPv4 } from 'node:net';
import * as z from 'zod';
import type { JsonObject, Protectable, Resource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { freezerSchema, type LocalFreezer, localQuiescing } from './freezer.ts';
import { localNetwork } from './network.ts';
import { localId, localTags } from './record.ts';
import { recordProtectable } from './record-protectable.ts';
import { volumeFinder } from './volume.ts';

/** Where the servers of a local system are. */
export interface LocalServerOptions {
  /** The system's directory; servers are `servers/<id>.json` in it. */
  readonly root: string;
  /** How servers are paused; without it they cannot be. */
  readonly freezer?: LocalFreezer;
}

const options = strictOptions({ root: z.string().min(1), freezer: freezerSchema.exactOptional() });

const schema = z
  .object({
    name: z.string().min(1),
    tags: localTags.exactOptional(),
    size: z.object({ cpus: z.int().positive(), memory: z.int().positive() }).catchall(z.json()),
    networks: z.array(
      z
        .object({ network: localId, address: z.union([z.ipv4(), z.ipv6()]).exactOptional() })
        .catchall(z.json()),
    ),
    volumes: z.array(
      z.object({ volume: localId, bootOrder: z.int().nonnegative().exactOptional() }).catchall(z.json()),
    ),
    metadata: z.record(z.string(), z.json()).exactOptional(),
    token: z.string().exactOptional(),
  })
  .catchall(z.json());

/** Protects servers: their size, and which networks and volumes they are joined to. */
export function localServer(given: LocalServerOptions): Protectable {
  const { root, freezer } = parseOptions('localServer', options, given);
  const networks = localNetwork({ root });
  const volumes = volumeFinder(root);
  return recordProtectable(root, {
    type: 'Local::Server',
    folder: 'servers',
    schema,
    groupsVolumes: true,
    ...(freezer === undefined ? {} : { quiescing: localQuiescing(root, freezer) }),
    targets: [networks, volumes],
    unconnected: { networks: [], volumes: [] },
    attributes: ({ size: { cpus, memory } }) => ({ cpus, memory }),
    references: (fields) => [
      ...fields.networks.map(({ network }) => ({ type: networks.type, id: network })),
      ...fields.volumes.map(({ volume }) => ({ type: volumes.type, id: volume })),
    ],
    async connected(fields, { resolve, address }) {
      const gaps: string[] = [];
      const joinedNetworks: JsonObject[] = [];
      for (const entry of fields.networks) {
        const network = await resolve({ type: networks.type, id: entry.network });
        if (network === undefined) continue;
        const joined = { ...entry, network: network.id };
        if (joined.address !== undefined) {
          const mapped = address(joined.address);
          if (!fits(mapped, network)) gaps.push(`${joined.address} to one in network ${network.id}`);
          joined.address = mapped;
        }
        joinedNetworks.push(joined);
      }
      if (gaps.length > 0) {
        throw new FafnirError('MAPPING_GAP', `addresses of server ${fields.name} to map: ${gaps.join(', ')}`);
      }
      const joinedVolumes: JsonObject[] = [];
      for (const entry of fields.volumes) {
        const volume = await resolve({ type: volumes.type, id: entry.volume });
        if (volume !== undefined) joinedVolumes.push({ ...entry, volume: volume.id });
      }
      return { networks: joinedNetworks, volumes: joinedVolumes };
    },
  });
}

/** False for what is no address, and for an IPv4 address outside an IPv4 network. Others have no rule to keep. */
function fits(address: string, { attributes: { cidr } }: Resource): boolean {
  const [base = '', prefix] = String(cidr).split('/');
  if (!isIPv4(address) || !isIPv4(base)) return isIP(address) !== 0;
  const range = new BlockList();
  range.addSubnet(base, Number(prefix), 'ipv4');
  return range.check(address, 'ipv4');
}
