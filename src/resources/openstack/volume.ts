import * as z from 'zod';
import { readOne } from './cloud.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';
import { makerOf } from './making.ts';
import { VOLUME_DESCRIPTION, VOLUME_RECIPE } from './volume-making.ts';

const GIBIBYTE = 1024 ** 3;

const pairs = z.record(z.string(), z.string());
const ITEM = z.object({
  id: z.string(),
  name: z.string().nullable(),
  size: z.int().min(0),
  status: z.string(),
  volume_type: z.string().nullish(),
  availability_zone: z.string().nullish(),
  metadata: pairs.default({}),
  'os-vol-tenant-attr:tenant_id': z.string().optional(),
});
const TYPE = 'OS::Cinder::Volume';

/** A volume as Cinder lists it. */
export type VolumeItem = Item & {
  readonly name: string | null;
  /** GiB. */
  readonly size: number;
  readonly status: string;
  readonly volume_type?: string | null | undefined;
  readonly availability_zone?: string | null | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly 'os-vol-tenant-attr:tenant_id'?: string | undefined;
};

/** Volumes of Cinder. */
export const VOLUMES: Kind<VolumeItem> = {
  type: TYPE,
  maker: makerOf(TYPE, VOLUME_RECIPE),
  read: (cloud, call) =>
    cloud.volumes.list({ path: ['volumes', 'detail'], collection: 'volumes', item: ITEM }, call),
  // Where it does not say whose it is, it lists those of the project alone.
  isOwn: (item, project) => (item['os-vol-tenant-attr:tenant_id'] ?? project) === project,
  labels: ({ name, size, status, volume_type, availability_zone, metadata }) => ({
    name: name ?? '',
    tags: tagsOf([], metadata),
    attributes: {
      size: size * GIBIBYTE,
      status,
      volumeType: volume_type ?? null,
      zone: availability_zone ?? null,
    },
  }),
  capture: (id, cloud, call) => readOne(cloud.volumes, ['volumes', id], 'volume', VOLUME_DESCRIPTION, call),
  sizeOf: async (id, cloud, call) =>
    (await readOne(cloud.volumes, ['volumes', id], 'volume', VOLUME_DESCRIPTION, call)).size * GIBIBYTE,
};
