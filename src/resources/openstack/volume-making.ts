import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll } from './cloud.ts';
import { type Recipe, removeFrom } from './making.ts';

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

  async find(token, cloud, call) {
    const place = { path: ['volumes', 'detail'], collection: 'volumes' };
    const all = await readAll(cloud.volumes, place, CARRIER, call);
    return all.flatMap(({ id, metadata }) => (metadata[TOKEN] === token ? [id] : []));
  },

  async make({ description, token, cloud, call }) {
    const { name, description: text, size, volume_type: type, availability_zone: zone } = description;
    await assertPlace(description, cloud, call);
    const volume = {
      name,
      size,
      ...(typeof text === 'string' && { description: text }),
      ...(typeof type === 'string' && { volume_type: type }),
      ...(typeof zone === 'string' && { availability_zone: zone }),
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
    await removeFrom(cloud.volumes, ['volumes', id], call);
    await cloud.volumes.waitUntilGone({ path: ['volumes', id], member: 'volume', milliseconds: WAIT }, call);
  },
};

type VolumeAction = { readonly bootable: boolean } | { readonly metadata: Readonly<Record<string, string>> };

const TYPE = z.object({ name: z.string() });
const ZONE = z.object({ zoneName: z.string() });

/** Refuses what the cloud has not, before anything is made. */
async function assertPlace(
  { name, volume_type: type, availability_zone: zone }: VolumeDescription,
  cloud: Cloud,
  call: CallOptions,
): Promise<void> {
  const types = await readAll(cloud.volumes, { path: ['types'], collection: 'volume_types' }, TYPE, call);
  if (typeof type === 'string' && !types.some((one) => one.name === type)) {
    throw new FafnirError('MAPPING_GAP', `volume ${name ?? ''} is of the type ${type}, which is not there`);
  }
  const place = { path: ['os-availability-zone'], collection: 'availabilityZoneInfo' };
  const zones = await readAll(cloud.volumes, place, ZONE, call);
  if (typeof zone === 'string' && !zones.some(({ zoneName }) => zoneName === zone)) {
    throw new FafnirError('MAPPING_GAP', `volume ${name ?? ''} is in the zone ${zone}, which is not there`);
  }
}
