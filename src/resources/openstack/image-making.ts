import * as z from 'zod';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { type Cloud, readAll } from './cloud.ts';
import { type Maker, standInMaker } from './making.ts';

/** What is kept of an image. */
export type ImageDescription = {
  readonly name?: string | null | undefined;
  readonly owner?: string | null | undefined;
  readonly visibility?: string | undefined;
  /** Bytes. */
  readonly size?: number | null | undefined;
  /** MD5 of its bytes. */
  readonly checksum?: string | null | undefined;
  readonly os_hash_algo?: string | null | undefined;
  readonly os_hash_value?: string | null | undefined;
  readonly disk_format?: string | null | undefined;
  readonly container_format?: string | null | undefined;
  readonly min_disk?: number | undefined;
  readonly min_ram?: number | undefined;
  readonly protected?: boolean | undefined;
  readonly tags: readonly string[];
};

/** An image that the destination has. */
export type ThereImage = ImageDescription & { readonly id: string; readonly status: string };

const text = z.string().nullish();
const fields = {
  name: text,
  owner: text,
  visibility: z.string().optional(),
  size: z.number().nullish(),
  checksum: text,
  os_hash_algo: text,
  os_hash_value: text,
  disk_format: text,
  container_format: text,
  min_disk: z.number().optional(),
  min_ram: z.number().optional(),
  protected: z.boolean().optional(),
  tags: z.array(z.string()).default([]),
};
const THERE: z.ZodType<ThereImage> = z.object({ ...fields, id: z.string(), status: z.string() });

/** An image as it is kept. */
export const IMAGE_DESCRIPTION: z.ZodType<ImageDescription> = z.object(fields);

/** The maker of images: nobody makes one, since the client moves no bytes of them. */
export function imageMaker(type: string, pageSize: number): Maker {
  const read = (cloud: Cloud, call: CallOptions): Promise<readonly ThereImage[]> =>
    readAll(
      cloud.images,
      { path: ['images'], collection: 'images', query: { limit: pageSize } },
      THERE,
      call,
    );
  return standInMaker(type, {
    schema: IMAGE_DESCRIPTION,
    async standIn({ description, cloud, call }) {
      const image = chooseImage(await read(cloud, call), description);
      if (image !== undefined) return image.id;
      throw new FafnirError('MAPPING_GAP', gapOf(description));
    },
    async gaps(cloud, call) {
      const images = await read(cloud, call);
      return ({ description }) =>
        chooseImage(images, description) === undefined ? gapOf(description) : undefined;
    },
  });
}

/**
 * The image that has the same bytes and format: by the digest of its site, or by its name and MD5 where sites use other
 * digests. Of several, one that has its name.
 */
export function chooseImage(images: readonly ThereImage[], wanted: ImageDescription): ThereImage | undefined {
  const fitting = images
    .filter(({ status, disk_format, container_format }) => {
      if (status !== 'active') return false;
      return isSame(disk_format, wanted.disk_format) && isSame(container_format, wanted.container_format);
    })
    .toSorted((a, b) => Number(isNamed(b)) - Number(isNamed(a)) || (a.id < b.id ? -1 : 1));
  function isNamed({ name }: ThereImage): boolean {
    return isSame(name, wanted.name);
  }
  const byDigest = ({ os_hash_algo: algorithm, os_hash_value: digest }: ThereImage): boolean =>
    typeof digest === 'string' && digest === wanted.os_hash_value && isSame(algorithm, wanted.os_hash_algo);
  const byName = (image: ThereImage): boolean =>
    isNamed(image) && typeof image.checksum === 'string' && image.checksum === wanted.checksum;
  return fitting.find(byDigest) ?? fitting.find(byName);
}

// What is missing and what is null are the same to Glance.
function isSame(one: string | null | undefined, other: string | null | undefined): boolean {
  return (one ?? null) === (other ?? null);
}

function gapOf({ name, os_hash_value, checksum }: ImageDescription): string {
  const digest = os_hash_value ?? checksum ?? 'none';
  return `image ${name ?? ''} is not there, nor another one with its checksum (${digest}): upload it, or map it to an image that is there`;
}
