import { compare } from '../../clients/openstack/microversions.ts';
import type {
  CallOptions,
  JsonObject,
  Names,
  ResourceKey,
  Surroundings,
} from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Cloud } from './cloud.ts';
import type { Making } from './making.ts';
import type { ServerDescription } from './server-description.ts';

/** The name of the token in the metadata of a server. */
export const SERVER_TOKEN = 'fafnir-token';

// What hosts may be called from 2.90 on; fully qualified names need more than that.
const HOSTNAMES_SINCE = '2.90';
const HOSTNAME = /^[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]$/;

const VOLUME = 'OS::Cinder::Volume';
const IMAGE = 'OS::Glance::Image';

/** What Nova is asked for, with the token in the metadata. */
export async function serverBody(
  { description, token, surroundings, names, cloud, call }: Making<ServerDescription>,
  place: JsonObject,
): Promise<JsonObject> {
  const standIns = new StandIns(surroundings);
  const [group] = description.server_groups.flatMap((id) => standIns.of('OS::Nova::ServerGroup', id) ?? []);
  return {
    server: {
      ...place,
      ...ownFields(description, surroundings),
      ...(await nameInGuest(description, cloud, call)),
      ...startOf(description, standIns, names),
      ...keyOf(description, standIns),
      networks: networksOf(description, standIns),
      metadata: { ...description.metadata, [SERVER_TOKEN]: token },
    },
    ...(group !== undefined && { 'os:scheduler_hints': { group } }),
  };
}

function ownFields(description: ServerDescription, surroundings: Surroundings): JsonObject {
  const { name, tags, description: text, accessIPv4, accessIPv6, config_drive: drive } = description;
  const { 'OS-DCF:diskConfig': diskConfig, 'OS-EXT-SRV-ATTR:user_data': userData } = description;
  return {
    name,
    tags,
    config_drive: drive === 'True',
    ...(typeof text === 'string' && { description: text }),
    ...(diskConfig !== undefined && { 'OS-DCF:diskConfig': diskConfig }),
    ...(typeof userData === 'string' && { user_data: userData }),
    ...(hasText(accessIPv4) && { accessIPv4: surroundings.address(accessIPv4) }),
    ...(hasText(accessIPv6) && { accessIPv6: surroundings.address(accessIPv6) }),
  };
}

async function nameInGuest(
  { 'OS-EXT-SRV-ATTR:hostname': hostname }: ServerDescription,
  cloud: Cloud,
  call: CallOptions,
): Promise<JsonObject> {
  if (typeof hostname !== 'string' || !HOSTNAME.test(hostname)) return {};
  const version = (await cloud.compute.microversion(call)) ?? '';
  return compare(version, HOSTNAMES_SINCE) < 0 ? {} : { hostname };
}

/** What it starts from, and its other volumes in their order. */
function startOf(
  { image, imageGone, volumes, bootVolume }: ServerDescription,
  standIns: StandIns,
  names: Names,
): JsonObject {
  const disk = (uuid: string, boot_index: number, { tag, delete_on_termination }: Attached): JsonObject => ({
    uuid,
    boot_index,
    source_type: 'volume',
    destination_type: 'volume',
    delete_on_termination,
    ...(typeof tag === 'string' && { tag }),
  });
  const others = volumes.flatMap((volume) => {
    const id = volume.volumeId === bootVolume ? undefined : standIns.of(VOLUME, volume.volumeId);
    return id === undefined ? [] : [disk(id, -1, volume)];
  });
  if (image !== null) {
    const imageRef = imageGone ? names.of('image', image) : standIns.needed(IMAGE, image);
    const local = { source_type: 'image', destination_type: 'local', delete_on_termination: true };
    return { imageRef, block_device_mapping_v2: [{ uuid: imageRef, boot_index: 0, ...local }, ...others] };
  }
  const boot = volumes.find(({ volumeId }) => volumeId === bootVolume);
  if (boot === undefined) throw new FafnirError('CORRUPT', 'a server starts from a volume that it has not');
  return { block_device_mapping_v2: [disk(standIns.needed(VOLUME, boot.volumeId), 0, boot), ...others] };
}

type Attached = ServerDescription['volumes'][number];

function keyOf({ key_name: key }: ServerDescription, standIns: StandIns): JsonObject {
  // The pair may be another user's: a server needs it at its first start alone.
  const standIn = typeof key === 'string' ? standIns.of('OS::Nova::KeyPair', key) : undefined;
  return standIn === undefined ? {} : { key_name: standIn };
}

/** Its interfaces, which Nova is not to choose where none is left. */
function networksOf({ ports }: ServerDescription, standIns: StandIns): 'none' | JsonObject[] {
  const interfaces = ports.flatMap(({ portId, tag }) => {
    const port = standIns.of('OS::Neutron::Port', portId);
    return port === undefined ? [] : [{ port, ...(tag !== null && { tag }) }];
  });
  return interfaces.length === 0 ? 'none' : interfaces;
}

/** What now stands for what the original was joined to. */
class StandIns {
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  of(type: string, id: string): string | undefined {
    return standInFor({ type, id }, this.#surroundings)?.id;
  }

  /** What the server cannot start without. */
  needed(type: string, id: string): string {
    const standIn = this.of(type, id);
    if (standIn !== undefined) return standIn;
    throw new FafnirError(
      'MAPPING_GAP',
      `a server starts from ${type} ${id}, for which nothing stands: map it`,
    );
  }
}

/** Undefined for what was left out of the checkpoint, or came to the server after its discovery. */
export function standInFor(original: ResourceKey, surroundings: Surroundings): ResourceKey | undefined {
  try {
    return surroundings.resolve(original);
  } catch (error) {
    if (FafnirError.is(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function hasText(text: string | null | undefined): text is string {
  return typeof text === 'string' && text !== '';
}
