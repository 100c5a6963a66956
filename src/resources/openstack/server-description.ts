import * as z from 'zod';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll, readOne } from './cloud.ts';
import { SERVER_FLAVOR, type ServerFlavor } from './flavors.ts';

/** A volume of a server. */
export type Attachment = {
  readonly volumeId: string;
  /** Where the server has it, such as `/dev/vda`. */
  readonly device?: string | null | undefined;
  readonly tag?: string | null | undefined;
  readonly delete_on_termination: boolean;
};

/** An interface of a server. */
export type Interface = {
  readonly portId: string;
  readonly tag: string | null;
  /** Of the port, such as `ACTIVE`. */
  readonly state?: string | undefined;
};

/** What is kept of a server itself. */
export type ServerFields = {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly status: string;
  readonly locked?: boolean | undefined;
  readonly locked_reason?: string | null | undefined;
  readonly key_name?: string | null | undefined;
  readonly flavor: ServerFlavor;
  readonly 'OS-EXT-AZ:availability_zone'?: string | null | undefined;
  readonly 'OS-DCF:diskConfig'?: string | undefined;
  readonly config_drive?: string | null | undefined;
  readonly accessIPv4?: string | null | undefined;
  readonly accessIPv6?: string | null | undefined;
  readonly 'OS-EXT-SRV-ATTR:user_data'?: string | null | undefined;
  readonly 'OS-EXT-SRV-ATTR:hostname'?: string | null | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly server_groups: readonly string[];
};

/** What is kept of a server. */
export type ServerDescription = ServerFields & {
  /** The id of the image that it started from; null where it starts from a volume. */
  readonly image: string | null;
  /** The image is not there any more, or others keep it to themselves. */
  readonly imageGone?: true | undefined;
  /** In the order of their devices. */
  readonly volumes: readonly Attachment[];
  /** The id of the volume that it starts from. */
  readonly bootVolume: string | null;
  /** In the order of its interfaces. */
  readonly ports: readonly Interface[];
};

const texts = z.array(z.string()).default([]);
const fields = {
  name: z.string(),
  description: z.string().nullish(),
  status: z.string(),
  locked: z.boolean().optional(),
  locked_reason: z.string().nullish(),
  key_name: z.string().nullish(),
  // Its id is not told, and would mean nothing in another cloud.
  flavor: SERVER_FLAVOR,
  'OS-EXT-AZ:availability_zone': z.string().nullish(),
  'OS-DCF:diskConfig': z.string().optional(),
  config_drive: z.string().nullish(),
  accessIPv4: z.string().nullish(),
  accessIPv6: z.string().nullish(),
  // Told to administrators, or whoever the cloud's policy lets see it; the hostname to everybody since 2.90.
  'OS-EXT-SRV-ATTR:user_data': z.string().nullish(),
  'OS-EXT-SRV-ATTR:hostname': z.string().nullish(),
  metadata: z.record(z.string(), z.string()).default({}),
  tags: texts,
  server_groups: texts,
};
const SERVER = z.object({
  ...fields,
  image: z
    .union([z.literal(''), z.object({ id: z.string() })])
    .nullish()
    .transform((image) => (typeof image === 'object' && image !== null ? image.id : null)),
  'OS-EXT-SRV-ATTR:root_device_name': z.string().nullish(),
  addresses: z
    .record(z.string(), z.array(z.object({ 'OS-EXT-IPS-MAC:mac_addr': z.string().optional() })))
    .default({}),
});
const ATTACHMENT: z.ZodType<Attachment> = z.object({
  volumeId: z.string(),
  device: z.string().nullish(),
  tag: z.string().nullish(),
  delete_on_termination: z.boolean().default(false),
});
const INTERFACE = z.object({
  port_id: z.string(),
  mac_addr: z.string(),
  tag: z.string().nullish(),
  port_state: z.string().optional(),
});

/** A server as it is kept. */
export const SERVER_DESCRIPTION: z.ZodType<ServerDescription> = z.object({
  ...fields,
  image: z.string().nullable(),
  imageGone: z.literal(true).optional(),
  volumes: z.array(ATTACHMENT),
  bootVolume: z.string().nullable(),
  ports: z.array(z.object({ portId: z.string(), tag: z.string().nullable(), state: z.string().optional() })),
});

/** A server with its volumes in the order of their devices and its ports in the order of its interfaces. */
export async function captureServer(id: string, cloud: Cloud, call: CallOptions): Promise<JsonObject> {
  const server = await readOne(cloud.compute, ['servers', id], 'server', SERVER, call);
  const { addresses, 'OS-EXT-SRV-ATTR:root_device_name': rootDevice, ...fields } = server;
  const partsOf = <Part>(path: string, collection: string, part: z.ZodType<Part>) =>
    readAll(cloud.compute, { path: ['servers', id, path], collection }, part, call);
  const volumes = byDevice(await partsOf('os-volume_attachments', 'volumeAttachments', ATTACHMENT));
  const interfaces = await partsOf('os-interface', 'interfaceAttachments', INTERFACE);
  const macs = Object.values(addresses).flatMap((of) => of.map((one) => one['OS-EXT-IPS-MAC:mac_addr']));
  return {
    ...fields,
    ...(server.image !== null && !(await hasImage(server.image, cloud, call)) && { imageGone: true }),
    volumes,
    bootVolume: server.image === null ? bootVolumeOf(volumes, rootDevice) : null,
    ports: byAddress(interfaces, macs).map(({ port_id: portId, tag, port_state: state }) => ({
      portId,
      tag: tag ?? null,
      ...(state !== undefined && { state }),
    })),
  };
}

async function hasImage(id: string, cloud: Cloud, call: CallOptions): Promise<boolean> {
  try {
    await cloud.images.request({ method: 'GET', path: ['images', id], answer: z.unknown() }, call);
    return true;
  } catch (error) {
    if (FafnirError.is(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

/** Attachments in the order in which a guest sees them: `vdb` before `vdaa`. */
export function byDevice(attachments: readonly Attachment[]): readonly Attachment[] {
  const name = ({ device }: Attachment): string => device ?? '';
  return attachments.toSorted(
    (a, b) => name(a).length - name(b).length || (name(a) < name(b) ? -1 : Number(name(a) > name(b))),
  );
}

/** The volume that a server starts from: the root device where that is told, else the first. */
export function bootVolumeOf(
  volumes: readonly Attachment[],
  rootDevice: string | null | undefined,
): string | null {
  const root = volumes.find(({ device }) => typeof device === 'string' && device === rootDevice);
  return (root ?? volumes[0])?.volumeId ?? null;
}

function byAddress<Port extends { readonly mac_addr: string }>(
  ports: readonly Port[],
  macs: readonly (string | undefined)[],
): readonly Port[] {
  const rank = ({ mac_addr }: Port): number => {
    const at = macs.indexOf(mac_addr);
    // One without an address has none among those that Nova tells.
    return at === -1 ? macs.length : at;
  };
  return ports.toSorted((a, b) => rank(a) - rank(b));
}
