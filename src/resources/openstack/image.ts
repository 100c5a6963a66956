import * as z from 'zod';
import { parseAnswer } from '../../clients/openstack/answers.ts';
import { IMAGE_DESCRIPTION, imageMaker } from './image-making.ts';
import { type Item, type Kind, tagsOf } from './kind.ts';

// As many as Glance gives at once; unasked it gives 25.
const PAGE = 1_000;

const ITEM = z.object({
  id: z.string(),
  name: z.string().nullish(),
  owner: z.string().nullish(),
  status: z.string(),
  visibility: z.string().optional(),
  size: z.number().nullish(),
  tags: z.array(z.string()).default([]),
});
const TYPE = 'OS::Glance::Image';

/** An image as Glance lists it. */
export type ImageItem = Item & {
  readonly name?: string | null | undefined;
  readonly owner?: string | null | undefined;
  readonly status: string;
  readonly visibility?: string | undefined;
  /** Bytes. */
  readonly size?: number | null | undefined;
  readonly tags: readonly string[];
};

/** Images of Glance. */
export const IMAGES: Kind<ImageItem> = {
  type: TYPE,
  maker: imageMaker(TYPE, PAGE),
  read: (cloud, call) =>
    cloud.images.list({ path: ['images'], collection: 'images', item: ITEM, pageSize: PAGE }, call),
  isOwn: ({ owner }, project) => owner === project,
  labels: ({ name, status, visibility, size, tags }) => ({
    name: name ?? '',
    tags: tagsOf(tags),
    attributes: { status, visibility: visibility ?? null, size: size ?? null },
  }),
  async capture(id, cloud, call) {
    const path = ['images', id];
    const body = await cloud.images.request({ method: 'GET', path, answer: z.unknown() }, call);
    return parseAnswer(`image ${id}`, IMAGE_DESCRIPTION, body);
  },
};
