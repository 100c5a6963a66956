import * as z from 'zod';
import type { Protectable } from '../../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { localTags } from './record.ts';
import { recordProtectable } from './record-protectable.ts';

/** Where the networks of a local system are. */
export interface LocalNetworkOptions {
  /** The system's directory; networks are `networks/<id>.json` in it. */
  readonly root: string;
}

const options = strictOptions({ root: z.string().min(1) });

const schema = z
  .object({
    name: z.string().min(1),
    tags: localTags.exactOptional(),
    cidr: z.union([z.cidrv4(), z.cidrv6()]),
    metadata: z.record(z.string(), z.json()).exactOptional(),
    token: z.string().exactOptional(),
  })
  .catchall(z.json());

/** Protects networks: a name and a range of addresses. */
export function localNetwork(given: LocalNetworkOptions): Protectable {
  const { root } = parseOptions('localNetwork', options, given);
  return recordProtectable(root, {
    type: 'Local::Network',
    folder: 'networks',
    schema,
    targets: [],
    unconnected: {},
    attributes: ({ cidr }) => ({ cidr }),
    references: () => [],
    connected: async () => ({}),
  });
}
