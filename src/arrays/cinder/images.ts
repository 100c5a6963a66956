import { createHash } from 'node:crypto';
import * as z from 'zod';
import { download } from '../../clients/openstack/download.ts';
import type { OpenStackClient, OpenStackService, OpenStackStream } from '../../clients/openstack/index.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';

/** An image as Glance tells of it. */
export interface Image {
  readonly id: string;
  /** Names are not unique. */
  readonly name?: string | null | undefined;
  /** Such as `active`. */
  readonly status: string;
  /** Bytes, once it has any. */
  readonly size?: number | null | undefined;
  /** Which digest Glance made of the bytes. */
  readonly os_hash_algo?: string | null | undefined;
  /** That digest, in hexadecimal. */
  readonly os_hash_value?: string | null | undefined;
  /** The text that it was given. */
  readonly fafnir_note?: string | null | undefined;
}

const IMAGE: z.ZodType<Image> = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string(),
  size: z.int().nonnegative().nullish(),
  os_hash_algo: z.string().nullish(),
  os_hash_value: z.string().nullish(),
  fafnir_note: z.string().nullish(),
});

const ALGORITHMS = ['sha256', 'sha512'];
/** What Glance makes of images unless it was told otherwise. */
const USUAL = 'sha512';

/** Of the images of a reader or volume. */
export const imageNameOf = (of: string): string => `fafnir-${of}`;

/** Images that are there while a snapshot or volume is read or written: raw, and of the project alone. */
export class Images {
  readonly #client: OpenStackClient;
  readonly #glance: OpenStackService;

  constructor(client: OpenStackClient) {
    this.#client = client;
    this.#glance = client.service('image');
  }

  /** Those of a reader or volume; only the project's own, for others may share theirs under any name. */
  async of(of: string, call: CallOptions): Promise<readonly Image[]> {
    const { project } = await this.#client.scope(call);
    if (project === undefined) throw new FafnirError('INVALID_OPTIONS', 'the credentials have no project');
    const name = imageNameOf(of);
    const query = { name, owner: project.id, visibility: 'private' };
    const place = { path: ['images'], collection: 'images', item: IMAGE, query };
    const found: Image[] = [];
    for await (const image of this.#glance.list(place, call)) if (image.name === name) found.push(image);
    return found;
  }

  /** One image, or `NOT_FOUND`. */
  get(id: string, call: CallOptions): Promise<Image> {
    return this.#glance.request({ method: 'GET', path: ['images', id], answer: IMAGE }, call);
  }

  /** Removes all that there are of a reader or volume. Resolves with what that was, for people. */
  async removeAll(of: string, call: CallOptions): Promise<readonly string[]> {
    const images = await this.of(of, call);
    for (const { id } of images) await this.remove(id, call);
    return images.map(({ id }) => `image ${id}`);
  }

  /** Removes one; a missing one is success. */
  async remove(id: string, call: CallOptions): Promise<void> {
    try {
      await this.#glance.request({ method: 'DELETE', path: ['images', id], answer: z.unknown() }, call);
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
    }
  }

  /** The bytes, which at their end must have the digest that Glance made of what it was given. */
  async *read(what: string, image: Image, call: CallOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { id, os_hash_algo: algorithm, os_hash_value: expected } = image;
    const isKnown =
      typeof algorithm === 'string' && ALGORITHMS.includes(algorithm) && typeof expected === 'string';
    const hash = isKnown ? createHash(algorithm) : undefined;
    for await (const piece of download(this.#glance, { path: ['images', id, 'file'] }, call)) {
      hash?.update(piece);
      yield piece;
    }
    if (hash === undefined || hash.digest('hex') === expected) return;
    throw new FafnirError('UNAVAILABLE', `${what} was read otherwise than it was stored`);
  }

  /** Makes an image of bytes, with a text to keep; resolves with its id when Glance has them as they were sent. */
  async create(of: string, note: string, bytes: OpenStackStream, call: CallOptions): Promise<string> {
    const name = imageNameOf(of);
    const facts = { disk_format: 'raw', container_format: 'bare', visibility: 'private' };
    const body = { name, ...facts, fafnir_note: note };
    const { id } = await this.#glance.request(
      { method: 'POST', path: ['images'], body, answer: IMAGE },
      call,
    );
    let hash = createHash(USUAL);
    const stream: OpenStackStream = {
      size: bytes.size,
      async *open() {
        hash = createHash(USUAL);
        for await (const piece of bytes.open()) {
          hash.update(piece);
          yield piece;
        }
      },
    };
    const headers = { 'content-type': 'application/octet-stream' };
    const upload = { method: 'PUT', path: ['images', id, 'file'], headers, body: stream } as const;
    await this.#glance.transfer(upload, async () => undefined, call);
    const { status, size, os_hash_algo: algorithm, os_hash_value: stored } = await this.get(id, call);
    const isRight = algorithm !== USUAL || stored === hash.digest('hex');
    if (status === 'active' && size === bytes.size && isRight) return id;
    throw new FafnirError('UNAVAILABLE', `image ${name} was stored otherwise than it was sent`);
  }
}
