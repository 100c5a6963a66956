import * as z from 'zod';
import { FafnirError } from '../../core/errors.ts';
import { readAll, readOne } from './cloud.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf, removeFrom } from './making.ts';
import { neutronRecipe } from './neutron-making.ts';

const TYPE = 'OS::Neutron::SecurityGroup';
// Every project has one of this name, and can have no other: it stands for the original's.
const DEFAULT = 'default';

type Description = {
  readonly name: string;
  readonly description: string;
  readonly stateful?: boolean | undefined;
  readonly tags: readonly string[];
};

const fields = {
  name: z.string(),
  description: z.string().default(''),
  stateful: z.boolean().optional(),
  tags: z.array(z.string()).default([]),
};
const DESCRIPTION: z.ZodType<Description> = z.object(fields);
const ITEM = z.object({ ...fields, id: z.string(), project_id: z.string() });
const RULE_ID = z.object({ id: z.string() });

const RECIPE = neutronRecipe<Description>({
  schema: DESCRIPTION,
  collection: 'security-groups',
  member: 'security_group',
  async standIn({ description: { name }, cloud, call }) {
    if (name !== DEFAULT) return undefined;
    const place = { path: ['security-groups'], query: { name }, collection: 'security_groups' };
    const { id: project } = await cloud.project(call);
    const found = (await readAll(cloud.networks, place, ITEM, call)).find(
      (one) => one.project_id === project,
    );
    // Neutron makes it when a project first asks for its groups.
    if (found !== undefined) return found.id;
    throw new FafnirError(
      'MAPPING_GAP',
      `the project has no security group ${DEFAULT}: map it to another one`,
    );
  },
  bodies: ({ description: { stateful } }) => [stateful === undefined ? {} : { stateful }],
  // Neutron makes rules of its own in a new group; those of the original are resources of their own.
  async fill(id, { cloud, call }) {
    const query = { security_group_id: id };
    const place = { path: ['security-group-rules'], query, collection: 'security_group_rules' };
    for (const rule of await readAll(cloud.networks, place, RULE_ID, call)) {
      await removeFrom(cloud.networks, ['security-group-rules', rule.id], call);
    }
  },
});

/** A security group as Neutron lists it. */
export type SecurityGroupItem = Item & {
  readonly name: string;
  readonly project_id: string;
  readonly stateful?: boolean | undefined;
  readonly tags: readonly string[];
};

/** Security groups of Neutron, without their rules: those refer to groups in turn. */
export const SECURITY_GROUPS: Kind<SecurityGroupItem> = {
  type: TYPE,
  maker: makerOf(TYPE, RECIPE),
  read: (cloud, call) =>
    cloud.networks.list({ path: ['security-groups'], collection: 'security_groups', item: ITEM }, call),
  isOwn: ({ project_id }, project) => project_id === project,
  labels: ({ name, stateful, tags }) => ({
    name,
    tags: tagsOf(tags),
    attributes: { stateful: stateful ?? true },
  }),
  capture: (id, cloud, call) =>
    readOne(cloud.networks, ['security-groups', id], 'security_group', DESCRIPTION, call),
};
