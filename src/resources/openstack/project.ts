import * as z from 'zod';
import { readOne } from './cloud.ts';
import { FLOATING_IPS } from './floating-ip.ts';
import { IMAGES } from './image.ts';
import type { Item, Kind } from './kind.ts';
import { standInMaker } from './making.ts';
import { NETWORKS } from './network.ts';
import { PORTS } from './port.ts';
import { ROUTERS } from './router.ts';
import { SECURITY_GROUPS } from './security-group.ts';
import { SECURITY_GROUP_RULES } from './security-group-rule.ts';
import { SERVERS } from './server.ts';
import { SERVER_GROUPS } from './server-group.ts';
import { VOLUMES } from './volume.ts';

type Description = {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly tags: readonly string[];
};

const DESCRIPTION: z.ZodType<Description> = z.object({
  name: z.string(),
  description: z.string().nullish(),
  tags: z.array(z.string()).default([]),
});
const TYPE = 'OS::Keystone::Project';

/** A project as its token names it. */
export type ProjectItem = Item & { readonly name: string };

/** The project of the credentials: it depends on all it has. */
export const PROJECTS: Kind<ProjectItem> = {
  type: TYPE,
  // What it had is made in the project of the destination's credentials.
  maker: standInMaker(TYPE, {
    schema: DESCRIPTION,
    standIn: async ({ cloud, call }) => (await cloud.project(call)).id,
  }),
  async *read(cloud, call) {
    yield await cloud.project(call);
  },
  isOwn: () => true,
  labels: ({ name }) => ({ name, attributes: {} }),
  async links(look, project) {
    const has = [
      (await look(SERVERS)).ownTargets(project),
      (await look(VOLUMES)).ownTargets(project),
      (await look(IMAGES)).ownTargets(project),
      (await look(NETWORKS)).ownTargets(project),
      (await look(ROUTERS)).ownTargets(project),
      (await look(PORTS)).ownTargets(project),
      (await look(FLOATING_IPS)).ownTargets(project),
      (await look(SECURITY_GROUPS)).ownTargets(project),
      (await look(SECURITY_GROUP_RULES)).ownTargets(project),
      (await look(SERVER_GROUPS)).ownTargets(project),
    ].flat();
    return () => has;
  },
  capture: (id, cloud, call) => readOne(cloud.identity, ['projects', id], 'project', DESCRIPTION, call),
};
