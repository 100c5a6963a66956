import * as z from 'zod';
import type { CallOptions, JsonObject, Names, Surroundings } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll, readOne } from './cloud.ts';
import { chooseFlavor, type Flavor, readFlavors } from './flavors.ts';
import { type Recipe, unlessGone } from './making.ts';
import { SERVER_DESCRIPTION, type ServerDescription } from './server-description.ts';

const TOKEN = 'fafnir-token';
// An image may have to come to the host first.
const WAIT = 30 * 60_000;
// What Nova calls the zone of hosts that are in none; who asks for it by name is bound to it for ever.
const NO_ZONE = 'nova';
// What hosts may be called from 2.90 on; fully qualified names need more than that.
const HOSTNAME = /^[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]$/;

const MADE = z.object({ server: z.object({ id: z.string() }) });
const CARRIER = z.object({ id: z.string(), metadata: z.record(z.string(), z.string()).default({}) });
const STATE = z.object({ status: z.string(), locked: z.boolean().default(false) });
const ZONE = z.object({ zoneName: z.string(), zoneState: z.object({ available: z.boolean() }) });

/** Servers are made of ports, volumes and what else is there by then, and carry the token in their metadata. */
export const SERVER_RECIPE: Recipe<ServerDescription> = {
  schema: SERVER_DESCRIPTION,
  joined: true,
  maps: ['flavor', 'zone'],

  async gaps(cloud, call) {
    const offers = await readOffers(cloud, call);
    return ({ description, names }) => placeIn(offers, description, names).gap;
  },

  async find(token, cloud, call) {
    const place = { path: ['servers', 'detail'], collection: 'servers' };
    const all = await readAll(cloud.compute, place, CARRIER, call);
    return all.flatMap(({ id, metadata }) => (metadata[TOKEN] === token ? [id] : []));
  },

  async make({ description, token, names, surroundings, cloud, call }) {
    const place = placeIn(await readOffers(cloud, call), description, names);
    if (place.gap !== undefined) throw new FafnirError('MAPPING_GAP', place.gap);
    const standIns = new StandIns(surroundings);
    const group = description.server_groups.flatMap(
      (id) => standIns.of('OS::Nova::ServerGroup', id) ?? [],
    )[0];
    const body = {
      server: {
        ...place.fields,
        ...ownFields(description, surroundings),
        ...(await nameInGuest(description, cloud, call)),
        ...startOf(description, standIns),
        ...keyOf(description, standIns),
        networks: networksOf(description, standIns),
        metadata: { ...description.metadata, [TOKEN]: token },
      },
      ...(group !== undefined && { 'os:scheduler_hints': { group } }),
    };
    const request = { method: 'POST', path: ['servers'], body, answer: MADE } as const;
    return (await cloud.compute.request(request, call)).server.id;
  },

  async join(id, { description: { status, locked, locked_reason: reason }, cloud, call }) {
    const path = ['servers', id];
    const reach = (...until: string[]): Promise<JsonObject> =>
      cloud.compute.waitFor({ path, member: 'server', until, milliseconds: WAIT }, call);
    const isOff = OFF.includes(status);
    const now = STATE.parse(await (isOff ? reach('ACTIVE', 'SHUTOFF') : reach('ACTIVE')));
    if (isOff && now.status === 'ACTIVE') {
      await act(id, { 'os-stop': null }, cloud, call);
      await reach('SHUTOFF');
    }
    if (locked !== true || now.locked) return;
    await act(id, { lock: typeof reason === 'string' ? { locked_reason: reason } : null }, cloud, call);
  },

  async remove(id, cloud, call) {
    await unlessGone(async () => {
      const { locked } = await readOne(cloud.compute, ['servers', id], 'server', STATE, call);
      if (locked) await act(id, { unlock: null }, cloud, call);
      // Not put aside for a while, as clouds may do with what is merely deleted: it would keep its volumes.
      await act(id, { forceDelete: null }, cloud, call);
    });
    const wait = { path: ['servers', id], member: 'server', milliseconds: WAIT };
    await cloud.compute.waitUntilGone(wait, call);
  },
};

// A server that was put on a shelf is off as well. What any other one had in memory is gone, so that it starts anew.
const OFF = ['SHUTOFF', 'SHELVED', 'SHELVED_OFFLOADED'];

type Offers = { readonly flavors: readonly Flavor[]; readonly zones: readonly string[] };
type Place = { readonly gap?: string; readonly fields: JsonObject };

async function readOffers(cloud: Cloud, call: CallOptions): Promise<Offers> {
  const place = { path: ['os-availability-zone'], collection: 'availabilityZoneInfo' };
  const zones = await readAll(cloud.compute, place, ZONE, call);
  return {
    flavors: await readFlavors(cloud, call),
    zones: zones.flatMap(({ zoneName, zoneState }) => (zoneState.available ? [zoneName] : [])),
  };
}

/** Where a server is made, or what is missing for it. */
function placeIn(
  { flavors, zones }: Offers,
  { name, flavor: wanted, image, bootVolume, 'OS-EXT-AZ:availability_zone': original }: ServerDescription,
  names: Names,
): Place {
  const flavor = chooseFlavor(flavors, wanted, names);
  const zone = typeof original === 'string' && original !== '' ? names.of('zone', original) : NO_ZONE;
  const gaps: string[] = [];
  if (flavor === undefined) {
    const { original_name, vcpus, ram, disk } = wanted;
    gaps.push(
      `has the flavor ${original_name} (${vcpus} CPUs, ${ram} MiB, ${disk} GiB), and the cloud has none of this size: map the flavor to another one`,
    );
  }
  if (zone !== NO_ZONE && !zones.includes(zone)) {
    gaps.push(`is in the zone ${zone}, which has no host of the cloud: map the zone to another one`);
  }
  if (image === null && bootVolume === null) gaps.push('starts from neither an image nor a volume');
  return {
    ...(gaps.length > 0 && { gap: `server ${name} ${gaps.join('; it ')}` }),
    fields: { flavorRef: flavor?.id, ...(zone !== NO_ZONE && { availability_zone: zone }) },
  };
}

function ownFields(description: ServerDescription, { address }: Surroundings): JsonObject {
  const { name, tags, description: text, accessIPv4, accessIPv6, config_drive: drive } = description;
  const { 'OS-DCF:diskConfig': diskConfig, 'OS-EXT-SRV-ATTR:user_data': userData } = description;
  return {
    name,
    tags,
    config_drive: drive === 'True',
    ...(typeof text === 'string' && { description: text }),
    ...(diskConfig !== undefined && { 'OS-DCF:diskConfig': diskConfig }),
    ...(typeof userData === 'string' && { user_data: userData }),
    ...(hasText(accessIPv4) && { accessIPv4: address(accessIPv4) }),
    ...(hasText(accessIPv6) && { accessIPv6: address(accessIPv6) }),
  };
}

async function nameInGuest(
  { 'OS-EXT-SRV-ATTR:hostname': hostname }: ServerDescription,
  cloud: Cloud,
  call: CallOptions,
): Promise<JsonObject> {
  if (typeof hostname !== 'string' || !HOSTNAME.test(hostname)) return {};
  return (await cloud.hasCompute('2.90', call)) ? { hostname } : {};
}

/** What it starts from, and its other volumes in their order. */
function startOf({ image, volumes, bootVolume }: ServerDescription, standIns: StandIns): JsonObject {
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
    const imageRef = standIns.needed(IMAGE, image);
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

const VOLUME = 'OS::Cinder::Volume';
const IMAGE = 'OS::Glance::Image';

/** What now stands for what the original was joined to. */
class StandIns {
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Undefined for what was left out of the checkpoint, or came to the server after its discovery. */
  of(type: string, id: string): string | undefined {
    try {
      return this.#surroundings.resolve({ type, id })?.id;
    } catch (error) {
      if (FafnirError.is(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
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

function hasText(text: string | null | undefined): text is string {
  return typeof text === 'string' && text !== '';
}

async function act(id: string, body: JsonObject, cloud: Cloud, call: CallOptions): Promise<void> {
  const path = ['servers', id, 'action'];
  await cloud.compute.request({ method: 'POST', path, body, answer: z.unknown() }, call);
}
