import * as z from 'zod';
import { readOne } from './cloud.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';

const DESCRIPTION = z.object({
  name: z.string(),
  description: z.string().default(''),
  stateful: z.boolean().optional(),
  tags: z.array(z.string()).default([]),
});
const ITEM = DESCRIPTION.extend({ id: z.string(), project_id: z.string() });

/** A security group as Neutron lists it. */
export type SecurityGroupItem = Item & {
  readonly name: string;
  readonly project_id: string;
  readonly stateful?: boolean | undefined;
  readonly tags: readonly string[];
};

/** Security groups of Neutron, without their rules: those refer to groups in turn. */
export const SECURITY_GROUPS: Kind<SecurityGroupItem> = {
  type: 'OS::Neutron::SecurityGroup',
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
