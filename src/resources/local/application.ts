import * as z from 'zod';
import type { Protectable, ResourceKey } from '../../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { localNetwork } from './network.ts';
import { localId, localTags } from './record.ts';
import { recordProtectable } from './record-protectable.ts';
import { localServer } from './server.ts';

/** Where the applications of a local system are. */
export interface LocalApplicationOptions {
  /** The system's directory; applications are `applications/<id>.json` in it. */
  readonly root: string;
}

const type = 'Local::Application';
const options = strictOptions({ root: z.string().min(1) });

const ids = z.array(localId);
const schema = z
  .object({
    name: z.string().min(1),
    tags: localTags.exactOptional(),
    servers: ids,
    networks: ids.exactOptional(),
    applications: ids.exactOptional(),
    token: z.string().exactOptional(),
  })
  .catchall(z.json());

const keys = (ofType: string, of: readonly string[] = []): readonly ResourceKey[] =>
  of.map((id) => ({ type: ofType, id }));

/** Protects applications: named groups of servers, networks and other applications. */
export function localApplication(given: LocalApplicationOptions): Protectable {
  const { root } = parseOptions('localApplication', options, given);
  const servers = localServer({ root });
  const networks = localNetwork({ root });
  return recordProtectable(root, {
    type,
    folder: 'applications',
    schema,
    targets: [servers, networks],
    unconnected: { servers: [], networks: undefined, applications: undefined },
    attributes: () => ({}),
    references: (fields) => [
      ...keys(servers.type, fields.servers),
      ...keys(networks.type, fields.networks),
      ...keys(type, fields.applications),
    ],
    async connected(fields, { resolve }) {
      const idsOf = async (ofType: string, of: readonly string[]): Promise<string[]> => {
        const joined: string[] = [];
        for (const key of keys(ofType, of)) {
          const standIn = await resolve(key);
          if (standIn !== undefined) joined.push(standIn.id);
        }
        return joined;
      };
      return {
        servers: await idsOf(servers.type, fields.servers),
        networks: fields.networks && (await idsOf(networks.type, fields.networks)),
        applications: fields.applications && (await idsOf(type, fields.applications)),
      };
    },
  });
}
