import * as z from 'zod';
import type { OpenStackClient, OpenStackStream } from '../../clients/openstack/index.ts';
import type { Block, CallOptions, VolumeTarget } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import type { Cinder } from './cinder.ts';
import { createCopyPath } from './copy-path.ts';
import type { DataPath, PathSnapshot, PathVolume } from './data-path.ts';
import { blocksOf } from './image-blocks.ts';
import { type Image, Images, imageNameOf } from './images.ts';
import type { VolumeOrigin } from './records.ts';
import type { Volumes } from './volumes.ts';
import { openWholeTarget, type WholeVolume } from './whole-target.ts';

/** Reading, and perhaps writing, by images of Glance. */
export interface ImagePathOptions {
  /** By which the path is known. */
  readonly kind: 'image';
  /**
   * A folder of this host with room for each volume that is being written, whole but for its zeros; the path only reads without
   * it. Nothing is left there.
   */
  readonly spool?: string;
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

const NOTED: z.ZodType<VolumeOrigin> = z.object({
  bootable: z.boolean(),
  metadata: z.record(z.string(), z.string()),
});

/**
 * The bytes of any backend, by nothing but what Cinder and Glance do for everybody. To read a snapshot, a volume is made from it,
 * an image of that volume, and the image is read. To write a volume, an image of what it is to hold is made, with which
 * Cinder fills it. That takes room for a whole volume and a whole image while it is open.
 */
export function createImagePath(
  { spool }: ImagePathOptions,
  { client, cinder, volumes }: CopyTools,
): DataPath {
  const images = new Images(client);

  /** The volume first: while it is uploaded, its image cannot go. */
  async function sweep(name: string, call: CallOptions): Promise<readonly string[]> {
    const removed = await volumes.removeTemporary(name, call);
    return [...removed, ...(await images.removeAll(name, call))];
  }

  /** Makes an image of a volume; both are named by what the image is of. */
  async function upload(of: string, volume: string, what: string, call: CallOptions): Promise<Image> {
    const image = await images.get(await cinder.upload(volume, imageNameOf(of), call), call);
    if (image.status === 'active') return image;
    const said = await cinder.complaint(volume, call);
    const message = `the image of ${what} is in the state ${image.status}`;
    throw new FafnirError('PLUGIN_FAILED', `${message}${said === '' ? '' : `: ${said}`}`);
  }

  async function make(snapshot: PathSnapshot, call: CallOptions): Promise<Image> {
    const { reader, name } = snapshot;
    // What a dead caller left and did not finish.
    await sweep(reader, call);
    const temporary = await volumes.createTemporary(snapshot, call);
    const image = await upload(reader, temporary.id, `snapshot ${name}`, call);
    await volumes.removeTemporary(reader, call);
    return image;
  }

  async function findOrMake(snapshot: PathSnapshot, call: CallOptions): Promise<Image> {
    const found = (await images.of(snapshot.reader, call)).find(({ status }) => status === 'active');
    const image = found ?? (await make(snapshot, call));
    checkSize(image, `snapshot ${snapshot.name}`, snapshot.volume.size);
    return image;
  }

  async function* readVolume({ id, size }: PathVolume, call: CallOptions): AsyncGenerator<Block> {
    const what = `the image of volume ${id}`;
    try {
      const image = await upload(id, id, `volume ${id}`, call);
      checkSize(image, `volume ${id}`, size);
      yield* blocksOf(what, size, images.read(what, image, call), call);
    } finally {
      // What cannot go now, the next writer or the volume's removal takes along.
      await Promise.allSettled([images.removeAll(id, { signal: new AbortController().signal })]);
    }
  }

  /**
   * Cinder calls the volume bootable and describes it by the image then. What it was before is noted with the image, so that
   * whoever comes after a caller that died finds it there.
   */
  async function writeVolume({ id }: PathVolume, bytes: OpenStackStream, call: CallOptions): Promise<void> {
    const note = JSON.stringify(await cinder.origin(id, call));
    try {
      await cinder.refill(id, await images.create(id, note, bytes, call), call);
    } catch (error) {
      await Promise.allSettled([tidy(id, { signal: new AbortController().signal })]);
      throw error;
    }
    await tidy(id, call);
  }

  /** Removes the images of a volume that nobody uses, once the volume is again described as it was before. */
  async function tidy(volume: string, call: CallOptions): Promise<void> {
    for (const { id, fafnir_note: note } of await images.of(volume, call)) {
      if (typeof note === 'string') await cinder.setOrigin(volume, originIn(note), call);
      await images.remove(id, call);
    }
  }

  async function openForWrite(folder: string, volume: PathVolume, call: CallOptions): Promise<VolumeTarget> {
    await cinder.checkRefills(call);
    await tidy(volume.id, call);
    const whole: WholeVolume = {
      name: `volume ${volume.id}`,
      size: volume.size,
      read: (inner) => readVolume(volume, inner),
      write: (bytes, inner) => writeVolume(volume, bytes, inner),
    };
    return await openWholeTarget(whole, folder);
  }

  return {
    ...createCopyPath<Image>({
      kind: 'image',
      noun: 'image',
      findOrMake,
      read: (image, what, call) => images.read(what, image, call),
      sweep,
    }),
    ...(spool !== undefined && {
      openForWrite: (volume: PathVolume, call: CallOptions) => openForWrite(spool, volume, call),
    }),
  };
}

function checkSize({ size }: Image, what: string, expected: number): void {
  if (size === expected) return;
  throw new FafnirError('WRONG_ANSWER', `the image of ${what} has ${size ?? 'no'} bytes, not ${expected}`);
}

function originIn(note: string): VolumeOrigin {
  try {
    return NOTED.parse(JSON.parse(note));
  } catch (cause) {
    throw new FafnirError('WRONG_ANSWER', 'the note with an image of a volume is damaged', {
      cause,
      hint: 'Remove the image, which is called fafnir- and the id of the volume, and check the image metadata of the volume.',
    });
  }
}
