import * as z from 'zod';
import type { CallOptions, JsonObject, Names } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll, readOne } from './cloud.ts';
import { type Recipe, removeFrom, unlessGone } from './making.ts';

/** What is kept of a volume. */
export type VolumeDescription = {
  readonly name: string | null;
  readonly description?: string | null | undefined;
  /** GiB. */
  readonly size: number;
  readonly volume_type?: string | null | undefined;
  readonly availability_zone?: string | null | undefined;
  /** `true` or `false`. */
  readonly bootable: string;
  readonly encrypted?: boolean | undefined;
  readonly multiattach?: boolean | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly volume_image_metadata?: Readonly<Record<string, string>> | undefined;
};

const TOKEN = 'fafnir-token';
// Volumes that an array makes by copying may take long; these are empty.
const WAIT = 10 * 60_000;

const pairs = z.record(z.string(), z.string());
const CARRIER = z.object({ id: z.string(), metadata: pairs.default({}) });

/** A volume as it is kept. */
export const VOLUME_DESCRIPTION: z.ZodType<VolumeDescription> = z.object({
  name: z.string().nullable(),
  description: z.string().nullish(),
  size: z.int().min(1),
  volume_type: z.string().nullish(),
  availability_zone: z.string().nullish(),
  bootable: z.string(),
  encrypted: z.boolean().optional(),
  multiattach: z.boolean().optional(),
  metadata: pairs.default({}),
  volume_image_metadata: pairs.optional(),
});

/** Volumes are made empty, and carry the token in their metadata. */
export const VOLUME_RECIPE: Recipe<VolumeDescription> = {
  schema: VOLUME_DESCRIPTION,
  maps: ['volume-type', 'zone'],

  async gaps(cloud, call) {
    const offers = await readOffers(cloud, call);
    return ({ description, names }) => placeIn(offers, description, names).gap;
  },

  async find(token, cloud, call) {
    const place = { path: ['volumes', 'detail'], collection: 'volumes' };
    const all = await readAll(cloud.volumes, place, CARRIER, call);
    return all.flatMap(({ id, metadata }) => (metadata[TOKEN] === token ? [id] : []));
  },

  async make({ description, token, names, cloud, call }) {
    const place = placeIn(await readOffers(cloud, call), description, names);
    if (place.gap !== undefined) throw new FafnirError('MAPPING_GAP', place.gap);
    const { name, description: text, size } = description;
    const volume = {
      name,
      size,
      ...place.fields,
      ...(typeof text === 'string' && { description: text }),
      metadata: { ...description.metadata, [TOKEN]: token },
    };
    const answer = z.object({ volume: z.object({ id: z.string() }) });
    const request = { method: 'POST', path: ['volumes'], body: { volume }, answer } as const;
    return (await cloud.volumes.request(request, call)).volume.id;
  },

  async finish(id, { description, cloud, call }) {
    const path = ['volumes', id];
    const until = ['available', 'in-use'];
    await cloud.volumes.waitFor({ path, member: 'volume', until, milliseconds: WAIT }, call);
    const act = async (name: string, value: VolumeAction): Promise<void> => {
      const request = { method: 'POST', path: [...path, 'action'], body: { [name]: value } } as const;
      await cloud.volumes.request({ ...request, answer: z.unknown() }, call);
    };
    await act('os-set_bootable', { bootable: description.bootable === 'true' });
    const metadata = description.volume_image_metadata ?? {};
    if (Object.keys(metadata).length > 0) await act('os-set_image_metadata', { metadata });
  },

  async remove(id, cloud, call) {
    const path = ['volumes', id];
    await unlessGone(async () => {
      const { status } = await readOne(cloud.volumes, path, 'volume', STATE, call);
      // Nova removes those that are to end with their server, and Cinder refuses to do it twice.
      if (status !== 'deleting') await removeFrom(cloud.volumes, path, call);
    });
    await cloud.volumes.waitUntilGone({ path, member: 'volume', milliseconds: WAIT }, call);
  },
};

type VolumeAction = { readonly bootable: boolean } | { readonly metadata: Readonly<Record<string, string>> };

const STATE = z.object({ status: z.string() });
const TYPE = z.object({ name: z.string() });
const ZONE = z.object({ zoneName: z.string() });

type Offers = { readonly types: readonly string[]; readonly zones: readonly string[] };

async function readOffers(cloud: Cloud, call: CallOptions): Promise<Offers> {
  const types = await readAll(cloud.volumes, { path: ['types'], collection: 'volume_types' }, TYPE, call);
  const place = { path: ['os-availability-zone'], collection: 'availabilityZoneInfo' };
  const zones = await readAll(cloud.volumes, place, ZONE, call);
  return { types: types.map(({ name }) => name), zones: zones.map(({ zoneName }) => zoneName) };
}

/** Where a volume is made, or what is missing for it. */
function placeIn(
  { types, zones }: Offers,
  { name, volume_type: originalType, availability_zone: originalZone }: VolumeDescription,
  names: Names,
): { readonly gap?: string; readonly fields: JsonObject } {
  const type = typeof originalType === 'string' ? names.of('volume-type', originalType) : undefined;
  const zone = typeof originalZone === 'string' ? names.of('zone', originalZone) : undefined;
  const gaps: string[] = [];
  if (type !== undefined && !types.includes(type)) {
    gaps.push(`is of the type ${type}, which is not there: map the volume type to another one`);
  }
  if (zone !== undefined && !zones.includes(zone)) {
    gaps.push(`is in the zone ${zone}, which is not there: map the zone to another one`);
  }
  return {
    ...(gaps.length > 0 && { gap: `volume ${name ?? ''} ${gaps.join('; it ')}` }),
    fields: {
      ...(type !== undefined && { volume_type: type }),
      ...(zone !== undefined && { availability_zone: zone }),
    },
  };
}
