import * as z from 'zod';
import type { OpenStackClient } from '../../clients/openstack/index.ts';
import { systemClock } from '../../core/clock.ts';
import type { Clock, Protectable } from '../../core/contracts/index.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { Cloud } from './cloud.ts';
import { FLOATING_IPS } from './floating-ip.ts';
import { IMAGES } from './image.ts';
import { KEY_PAIRS } from './key-pair.ts';
import type { Item, Kind } from './kind.ts';
import { NETWORKS } from './network.ts';
import { PORTS } from './port.ts';
import { PROJECTS } from './project.ts';
import { openStackProtectable } from './protectable.ts';
import { ROUTERS } from './router.ts';
import { SECURITY_GROUPS } from './security-group.ts';
import { SECURITY_GROUP_RULES } from './security-group-rule.ts';
import { SERVERS } from './server.ts';
import { SERVER_GROUPS } from './server-group.ts';
import { VOLUMES } from './volume.ts';

export { type OpenStackTemplate, type OpenStackTemplateOptions, uploadTemplate } from './template.ts';

/** Options of {@link openStackResources}. */
export interface OpenStackResourcesOptions {
  /** The cloud and the project, as a user sees them; the caller closes it. */
  readonly client: OpenStackClient;
  /** The name of the array of the cloud's volumes. Default: `cinder`. */
  readonly array?: string;
  /** Default: the machine's own. */
  readonly clock?: Clock;
}

const object = (value: unknown): boolean => typeof value === 'object' && value !== null;

const OPTIONS = strictOptions({
  client: z.custom<OpenStackClient>(object),
  array: z.string().min(1).exactOptional(),
  clock: z.custom<Clock>(object).exactOptional(),
}) satisfies z.ZodType<OpenStackResourcesOptions>;

/** Plugins for what a project of an OpenStack cloud has, one for each type of resource. */
export function openStackResources(options: OpenStackResourcesOptions): readonly Protectable[] {
  const {
    client,
    array = 'cinder',
    clock = systemClock,
  } = parseOptions('openStackResources', OPTIONS, options);
  const cloud = new Cloud(client, clock);
  const of = <Listing extends Item>(kind: Kind<Listing>): Protectable =>
    openStackProtectable(kind, cloud, array);
  return Object.freeze([
    of(PROJECTS),
    of(SERVERS),
    of(KEY_PAIRS),
    of(SERVER_GROUPS),
    of(VOLUMES),
    of(IMAGES),
    of(NETWORKS),
    of(ROUTERS),
    of(PORTS),
    of(FLOATING_IPS),
    of(SECURITY_GROUPS),
    of(SECURITY_GROUP_RULES),
  ]);
}
