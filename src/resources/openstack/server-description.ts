import * as z from 'zod';
import type { CallOptions, JsonObject } from '../../core/contracts/index.ts';
import { type Cloud, readAll, readOne } from './cloud.ts';

const pairs = z.record(z.string(), z.string());
const texts = z.array(z.string()).default([]);
const SERVER = z.object({
  name: z.string(),
  description: z.string().nullish(),
  status: z.string(),
  locked: z.boolean().optional(),
  key_name: z.string().nullish(),
  image: z
    .union([z.literal(''), z.object({ id: z.string() })])
    .nullish()
    .transform((image) => (typeof image === 'object' && image !== null ? image.id : null)),
  // Its id is not told, and would mean nothing in another cloud.
  flavor: z.object({
    original_name: z.string(),
    vcpus: z.int(),
    ram: z.int(),
    disk: z.int(),
    'OS-FLV-EXT-DATA:ephemeral': z.int().optional(),
    ephemeral: z.int().optional(),
    swap: z.int().optional(),
    extra_specs: pairs.optional(),
  }),
  'OS-EXT-AZ:availability_zone': z.string().nullish(),
  config_drive: z.string().nullish(),
  // Told to administrators, or whoever the cloud's policy lets see it.
  'OS-EXT-SRV-ATTR:user_data': z.string().nullish(),
  'OS-EXT-SRV-ATTR:root_device_name': z.string().nullish(),
  'OS-EXT-SRV-ATTR:hostname': z.string().nullish(),
  metadata: pairs.default({}),
  tags: texts,
  server_groups: texts,
  addresses: z
    .record(z.string(), z.array(z.object({ 'OS-EXT-IPS-MAC:mac_addr': z.string().optional() })))
    .default({}),
});
const ATTACHMENT = z.object({
  volumeId: z.string(),
  device: z.string().nullish(),
  tag: z.string().nullish(),
  delete_on_termination: z.boolean().default(false),
});
const PORT = z.object({ id: z.string(), mac_address: z.string() });

/** A volume of a server. */
export type Attachment = {
  readonly volumeId: string;
  /** Where the server has it, such as `/dev/vda`. */
  readonly device?: string | null | undefined;
  readonly tag?: string | null | undefined;
  readonly delete_on_termination: boolean;
};

/** A server with its volumes in the order of their devices and its ports in the order of its interfaces. */
export async function captureServer(id: string, cloud: Cloud, call: CallOptions): Promise<JsonObject> {
  const server = await readOne(cloud.compute, ['servers', id], 'server', SERVER, call);
  const { addresses, 'OS-EXT-SRV-ATTR:root_device_name': rootDevice, ...fields } = server;
  const attached = await readAll(
    cloud.compute,
    { path: ['servers', id, 'os-volume_attachments'], collection: 'volumeAttachments' },
    ATTACHMENT,
    call,
  );
  const ports = await readAll(
    cloud.networks,
    { path: ['ports'], query: { device_id: id }, collection: 'ports' },
    PORT,
    call,
  );
  const macs = Object.values(addresses).flatMap((of) => of.map((one) => one['OS-EXT-IPS-MAC:mac_addr']));
  const volumes = byDevice(attached);
  return {
    ...fields,
    volumes,
    bootVolume: server.image === null ? bootVolumeOf(volumes, rootDevice) : null,
    ports: byAddress(ports, macs).map((port) => port.id),
  };
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

function byAddress<Port extends { readonly mac_address: string }>(
  ports: readonly Port[],
  macs: readonly (string | undefined)[],
): readonly Port[] {
  const rank = ({ mac_address }: Port): number => {
    const at = macs.indexOf(mac_address);
    // One without an address has none among those that Nova tells.
    return at === -1 ? macs.length : at;
  };
  return ports.toSorted((a, b) => rank(a) - rank(b));
}
