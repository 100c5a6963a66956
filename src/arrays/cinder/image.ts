import { createHash } from 'node:crypto';
import * as z from 'zod';
import { download } from '../../clients/openstack/download.ts';
import type { OpenStackClient, OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Cinder } from './cinder.ts';
import { createCopyPath } from './copy-path.ts';
import type { DataPath, PathSnapshot } from './data-path.ts';
import type { Volumes } from './volumes.ts';

/** Reading by images of Glance. */
export interface ImagePathOptions {
  /** By which the path is known. */
  readonly kind: 'image';
}

/** What copies of snapshots are made with. */
export interface CopyTools {
  /** The cloud. */
  readonly client: OpenStackClient;
  /** Makes images and backups of volumes. */
  readonly cinder: Cinder;
  /** Makes volumes of snapshots. */
  readonly volumes: Pick<Volumes, 'createTemporary' | 'removeTemporary'>;
}

const IMAGE = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string(),
  size: z.int().nonnegative().nullish(),
  os_hash_algo: z.string().nullish(),
  os_hash_value: z.string().nullish(),
});
type Image = z.infer<typeof IMAGE>;

const ALGORITHMS = ['sha256', 'sha512'];

/**
 * The bytes of any backend, by nothing but what Cinder and Glance do for everybody: a volume is made from the snapshot, an
 * image of that volume, and the image is read. It takes room for a whole volume and a whole image while it is open.
 */
export function createImagePath({ client, cinder, volumes }: CopyTools): DataPath {
  const glance: OpenStackService = client.service('image');

  /** The images of a snapshot; only the project's own, for others may share theirs under any name. */
  async function imagesOf(id: string, call: CallOptions): Promise<readonly Image[]> {
    const { project } = await client.scope(call);
    if (project === undefined) throw new FafnirError('INVALID_OPTIONS', 'the credentials have no project');
    const name = nameOf(id);
    const query = { name, owner: project.id, visibility: 'private' };
    const found: Image[] = [];
    for await (const image of glance.list(
      { path: ['images'], collection: 'images', item: IMAGE, query },
      call,
    )) {
      if (image.name === name) found.push(image);
    }
    return found;
  }

  async function removeImages(id: string, call: CallOptions): Promise<void> {
    for (const image of await imagesOf(id, call)) {
      try {
        await glance.request({ method: 'DELETE', path: ['images', image.id], answer: z.unknown() }, call);
      } catch (error) {
        if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      }
    }
  }

  /** The volume first: while it is uploaded, its image cannot go. */
  async function sweep({ id }: Pick<PathSnapshot, 'id'>, call: CallOptions): Promise<void> {
    await volumes.removeTemporary(id, call);
    await removeImages(id, call);
  }

  async function make({ id, name, volume }: PathSnapshot, call: CallOptions): Promise<Image> {
    // What a dead caller left and did not finish.
    await sweep({ id }, call);
    const temporary = await volumes.createTemporary(id, volume.size, call);
    const imageId = await cinder.upload(temporary.id, nameOf(id), call);
    const image = await glance.request({ method: 'GET', path: ['images', imageId], answer: IMAGE }, call);
    if (image.status !== 'active') {
      const said = await cinder.complaint(temporary.id, call);
      const message = `the image of snapshot ${name} is in the state ${image.status}`;
      throw new FafnirError('PLUGIN_FAILED', `${message}${said === '' ? '' : `: ${said}`}`);
    }
    await volumes.removeTemporary(id, call);
    return image;
  }

  async function findOrMake(snapshot: PathSnapshot, call: CallOptions): Promise<Image> {
    const { name, volume } = snapshot;
    const found = (await imagesOf(snapshot.id, call)).find(({ status }) => status === 'active');
    const image = found ?? (await make(snapshot, call));
    if (image.size === volume.size) return image;
    const message = `the image of snapshot ${name} has ${image.size ?? 'no'} bytes, not ${volume.size}`;
    throw new FafnirError('WRONG_ANSWER', message);
  }

  return createCopyPath<Image>({
    kind: 'image',
    noun: 'image',
    findOrMake,
    read: (image, what, call) =>
      compared(what, image, download(glance, { path: ['images', image.id, 'file'] }, call)),
    sweep,
  });
}

const nameOf = (snapshotId: string): string => `fafnir-${snapshotId}`;

/** The bytes, which at their end must have the digest that Glance made of what Cinder gave it. */
async function* compared(
  what: string,
  { os_hash_algo: algorithm, os_hash_value: expected }: Image,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const isKnown =
    typeof algorithm === 'string' && ALGORITHMS.includes(algorithm) && typeof expected === 'string';
  const hash = isKnown ? createHash(algorithm) : undefined;
  for await (const piece of bytes) {
    hash?.update(piece);
    yield piece;
  }
  if (hash === undefined || hash.digest('hex') === expected) return;
  throw new FafnirError('UNAVAILABLE', `${what} was read otherwise than it was stored`);
}
