import * as z from 'zod';
import { readOne } from './cloud.ts';
import type { Item, Kind } from './kind.ts';

const DESCRIPTION = z.object({
  name: z.string(),
  policy: z.string(),
  rules: z.record(z.string(), z.json()).default({}),
});
const ITEM = DESCRIPTION.extend({
  id: z.string(),
  project_id: z.string(),
  members: z.array(z.string()).default([]),
});

/** A server group as Nova lists it. */
export type ServerGroupItem = Item & {
  readonly name: string;
  readonly policy: string;
  readonly project_id: string;
  /** Servers. */
  readonly members: readonly string[];
};

/** Server groups of Nova: which servers share a host, and which do not. */
export const SERVER_GROUPS: Kind<ServerGroupItem> = {
  type: 'OS::Nova::ServerGroup',
  read: (cloud, call) =>
    cloud.compute.list({ path: ['os-server-groups'], collection: 'server_groups', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ name, policy }) => ({ name, attributes: { policy } }),
  capture: (id, cloud, call) =>
    readOne(cloud.compute, ['os-server-groups', id], 'server_group', DESCRIPTION, call),
};
