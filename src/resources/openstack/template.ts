import { createHash } from 'node:crypto';
import * as z from 'zod';
import { download } from '../../clients/openstack/download.ts';
import type { OpenStackClient, OpenStackService } from '../../clients/openstack/index.ts';
import type { CallOptions, JsonObject, VolumeSource } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { isId } from '../../core/identity.ts';
import { parseOptions, strictOptions } from '../../core/options.ts';
import { templateFacts } from './template-facts.ts';

/** What a template is made of, and as. */
export interface OpenStackTemplateOptions extends Partial<CallOptions> {
  /** The cloud and the project that get the image; the caller closes it. */
  readonly client: OpenStackClient;
  /** The name of the image; names need not be unique. */
  readonly name: string;
  /** Tells the template from all others of the project: a repeat under the same one finds what was made. 1 to 120 of A-Z a-z 0-9 . _ - */
  readonly token: string;
  /** The description of the volume, as its artifact in the checkpoint has it. */
  readonly volume: JsonObject;
}

/** A template that was made. */
export interface OpenStackTemplate {
  /** The id of the image. */
  readonly image: string;
}

const object = (value: unknown): boolean => typeof value === 'object' && value !== null;
const templateSchema = strictOptions({
  client: z.custom<OpenStackClient>(object),
  name: z.string().min(1).max(255),
  token: z.string().refine(isId, 'not 1 to 120 of A-Z a-z 0-9 . _ -'),
  volume: z.custom<JsonObject>(object),
  signal: z.instanceof(AbortSignal).exactOptional(),
}) satisfies z.ZodType<OpenStackTemplateOptions>;

const IMAGE = z.looseObject({
  id: z.string(),
  status: z.string(),
  size: z.int().nonnegative().nullish(),
  tags: z.array(z.string()).default([]),
});
type Image = z.infer<typeof IMAGE>;

const PIECE = 4 * 1024 * 1024;
const WAIT = 10 * 60_000;
const forever: AbortSignal = new AbortController().signal;

/**
 * Makes a private image of a volume's bytes, such as `session.checkpoints.open` opens, from which servers start as they did from
 * the volume. The bytes go straight to Glance; the image was read back and found equal when this resolves. What fails leaves no
 * image, and what a process left that died, a repeat under the same token removes or finds.
 *
 * `INVALID_OPTIONS` where the volume is none that servers start from, `UNSUPPORTED` where it is encrypted, `NOT_PROVEN` where
 * Glance gives other bytes than it was given.
 */
export async function uploadTemplate(
  source: VolumeSource,
  options: OpenStackTemplateOptions,
): Promise<OpenStackTemplate> {
  const {
    client,
    name,
    token,
    volume,
    signal = forever,
  } = parseOptions('uploadTemplate', templateSchema, options);
  const call = { signal };
  const facts = templateFacts(volume, source.size);
  const { project } = await client.scope(call);
  if (project === undefined) throw new FafnirError('INVALID_OPTIONS', 'the credentials have no project');
  const glance = client.service('image');
  const tag = `fafnir-template-${token}`;
  for (const image of await imagesOf(glance, tag, project.id, call)) {
    if (await isWhole(glance, image, source, call)) return { image: image.id };
    await remove(glance, image.id, call);
  }
  const body = {
    name,
    tags: [tag],
    visibility: 'private',
    disk_format: 'raw',
    container_format: 'bare',
    ...facts,
  };
  const request = { method: 'POST', path: ['images'], body, answer: IMAGE } as const;
  const { id } = await glance.request(request, call);
  try {
    await upload(glance, id, source, call);
    return { image: id };
  } catch (error) {
    // Also when the caller has gone. What cannot be removed now, a repeat finds by its tag.
    await remove(glance, id, { signal: forever }).catch(() => undefined);
    throw error;
  }
}

async function upload(
  glance: OpenStackService,
  id: string,
  source: VolumeSource,
  call: CallOptions,
): Promise<void> {
  let hash = createHash('sha256');
  const open = (): AsyncIterable<Uint8Array> => {
    // Again where a token is renewed.
    hash = createHash('sha256');
    return bytesOf(source, (bytes) => hash.update(bytes), call);
  };
  const body = { size: source.size, open };
  const headers = { 'content-type': 'application/octet-stream' };
  const path = ['images', id, 'file'];
  await glance.transfer({ method: 'PUT', path, headers, body }, async () => undefined, call);
  const image = await glance.request({ method: 'GET', path: ['images', id], answer: IMAGE }, call);
  const isEqual = isReadable(image, source) && (await digestOf(glance, id, call)) === hash.digest('hex');
  if (!isEqual) throw new FafnirError('NOT_PROVEN', `image ${id} does not hold what was written to it`);
}

/** The project's own images; others may share theirs under any tag. */
async function imagesOf(
  glance: OpenStackService,
  tag: string,
  owner: string,
  call: CallOptions,
): Promise<readonly Image[]> {
  const query = { tag, owner, visibility: 'private' };
  const found: Image[] = [];
  for await (const image of glance.list(
    { path: ['images'], collection: 'images', item: IMAGE, query },
    call,
  )) {
    if (image.tags.includes(tag)) found.push(image);
  }
  return found;
}

const isReadable = ({ status, size }: Image, source: VolumeSource): boolean =>
  status === 'active' && size === source.size;

/** Whether an image that an earlier call made has the bytes: it may have died before it had looked. */
async function isWhole(
  glance: OpenStackService,
  image: Image,
  source: VolumeSource,
  call: CallOptions,
): Promise<boolean> {
  if (!isReadable(image, source)) return false;
  const hash = createHash('sha256');
  for await (const _ of bytesOf(source, (bytes) => hash.update(bytes), call));
  return (await digestOf(glance, image.id, call)) === hash.digest('hex');
}

async function digestOf(glance: OpenStackService, id: string, call: CallOptions): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of download(glance, { path: ['images', id, 'file'] }, call)) hash.update(bytes);
  return hash.digest('hex');
}

async function remove(glance: OpenStackService, id: string, call: CallOptions): Promise<void> {
  const path = ['images', id];
  try {
    await glance.request({ method: 'DELETE', path, answer: z.unknown() }, call);
  } catch (error) {
    if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
  }
  await glance.waitUntilGone({ path, milliseconds: WAIT }, call);
}

/** All bytes in order, zeros too; each piece is shown before it is given away. */
async function* bytesOf(
  source: VolumeSource,
  show: (bytes: Uint8Array) => void,
  call: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { offset, length, kind } of source.extents(call)) {
    for (let done = 0; done < length; done += PIECE) {
      call.signal.throwIfAborted();
      const bytes = new Uint8Array(Math.min(PIECE, length - done));
      if (kind !== 'zero') await source.readInto(offset + done, bytes, call);
      show(bytes);
      yield bytes;
    }
  }
}
