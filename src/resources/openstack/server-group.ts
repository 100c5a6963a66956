import * as z from 'zod';
import type { Json } from '../../core/contracts/index.ts';
import { readOne } from './cloud.ts';
import type { Item, Kind } from './kind.ts';
import { makerOf, type Recipe, removeFrom } from './making.ts';
import { findNamed, nameWith } from './token-names.ts';

const TYPE = 'OS::Nova::ServerGroup';

type Description = {
  readonly name: string;
  readonly policy: string;
  readonly rules: Readonly<Record<string, Json>>;
};

const fields = {
  name: z.string(),
  policy: z.string(),
  rules: z.record(z.string(), z.json()).default({}),
};
const DESCRIPTION: z.ZodType<Description> = z.object(fields);
const ITEM = z.object({
  ...fields,
  id: z.string(),
  project_id: z.string(),
  members: z.array(z.string()).default([]),
});

const RECIPE: Recipe<Description> = {
  schema: DESCRIPTION,
  find: (token, cloud, call) => findNamed(SERVER_GROUPS, token, cloud, call),
  async make({ description, token, cloud, call }) {
    const { name, policy, rules } = description;
    const hasRules = Object.keys(rules).length > 0;
    const body = { server_group: { name: nameWith(name, token), policy, ...(hasRules && { rules }) } };
    const answer = z.object({ server_group: z.object({ id: z.string() }) });
    const request = { method: 'POST', path: ['os-server-groups'], body, answer } as const;
    return (await cloud.compute.request(request, call)).server_group.id;
  },
  remove: (id, cloud, call) => removeFrom(cloud.compute, ['os-server-groups', id], call),
};

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
  type: TYPE,
  maker: makerOf(TYPE, RECIPE),
  read: (cloud, call) =>
    cloud.compute.list({ path: ['os-server-groups'], collection: 'server_groups', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ name, policy }) => ({ name, attributes: { policy } }),
  capture: (id, cloud, call) =>
    readOne(cloud.compute, ['os-server-groups', id], 'server_group', DESCRIPTION, call),
};
